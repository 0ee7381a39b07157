// OpenAI's own client for JavaScript.

import OpenAI from "openai";

import { answerAll } from "./calls.js";

await answerAll((access) => {
  const client = new OpenAI({ ...access, maxRetries: 0 });
  return async ({ leaveAfter, apiKey, ...asked }) => {
    const own = apiKey ? client.withOptions({ apiKey }) : client;
    try {
      const answer = await own.chat.completions.create(asked);
      return asked.stream ? await read(answer, leaveAfter) : whole(answer);
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      const { status, code, param, requestID, message } = error;
      return { error: { name: error.constructor.name, status, code, param, requestId: requestID, message } };
    }
  };
});

function whole({ choices, usage }) {
  return {
    said: choices.map((choice) => choice.message.content),
    finished: choices.map((choice) => choice.finish_reason),
    usage,
    pieces: 1,
  };
}

async function read(stream, leaveAfter) {
  const outcome = { said: [], finished: [], usage: null, pieces: 0 };
  for await (const chunk of stream) {
    outcome.usage = chunk.usage ?? outcome.usage;
    for (const { index, delta, finish_reason } of chunk.choices) {
      outcome.said[index] = (outcome.said[index] ?? "") + (delta.content ?? "");
      if (finish_reason) outcome.finished[index] = finish_reason;
    }
    outcome.pieces += 1;
    // Leaving the loop closes the connection.
    if (outcome.pieces === leaveAfter) return { left: outcome.pieces };
  }
  return outcome;
}
