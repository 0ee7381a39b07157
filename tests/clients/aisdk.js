// A client that shares no code with OpenAI's: the AI SDK and its provider for compatible servers.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";

import { answerAll } from "./calls.js";

await answerAll((access) => {
  return async ({ model, messages, max_tokens, top_p, stop, stream, leaveAfter, apiKey, ...more }) => {
    const own = { ...access, ...(apiKey && { apiKey }) };
    const provider = createOpenAICompatible({ name: "portal", includeUsage: true, ...own });
    const leaving = new AbortController();
    const asked = {
      model: provider(model),
      messages,
      allowSystemInMessages: true,
      maxOutputTokens: max_tokens,
      topP: top_p,
      stopSequences: stop,
      temperature: more.temperature,
      maxRetries: 0,
      abortSignal: leaving.signal,
    };
    try {
      return stream ? await read(asked, leaving, leaveAfter) : whole(await generateText(asked));
    } catch (error) {
      if (APICallError.isInstance(error)) return { error: told(error) };
      // In the middle of a stream the client hands on the error object as it came.
      if (error instanceof Error) throw error;
      return { error };
    }
  };
});

function told({ statusCode, data, message, responseHeaders, isRetryable }) {
  const { code, param } = data?.error ?? {};
  const requestId = responseHeaders?.["x-request-id"];
  return { name: "AI_APICallError", status: statusCode, code, param, requestId, message, isRetryable };
}

function whole({ text, finishReason, usage }, pieces = 1) {
  const { inputTokens, outputTokens, totalTokens } = usage;
  return {
    said: [text],
    finished: [finishReason],
    usage: { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: totalTokens },
    pieces,
  };
}

async function read(asked, leaving, leaveAfter) {
  const failures = [];
  const answer = streamText({ ...asked, onError: ({ error }) => failures.push(error) });
  let pieces = 0;
  for await (const _words of answer.textStream) {
    pieces += 1;
    if (pieces === leaveAfter) {
      leaving.abort();
      return { left: pieces };
    }
  }
  if (failures.length) throw failures[0];
  const [text, finishReason, usage] = await Promise.all([answer.text, answer.finishReason, answer.usage]);
  return whole({ text, finishReason, usage }, pieces);
}
