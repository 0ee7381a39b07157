// What each client's script shares: calls come as JSON on the standard input, and what became of
// each goes as JSON to the standard output.
//
//   in:  {baseURL, apiKey, calls: [{stream?, leaveAfter?, …what the client takes}]}
//   out: [{said: [text of each choice], finished: [its reason], usage, pieces}
//         | {left: pieces} | {error: {name, status, code, param, requestId, message}}]

import { text } from "node:stream/consumers";

export async function answerAll(clientFor) {
  const { calls, ...access } = JSON.parse(await text(process.stdin));
  const call = clientFor(access);
  const outcomes = [];
  for (const asked of calls) {
    outcomes.push(await call(asked));
  }
  process.stdout.write(JSON.stringify(outcomes));
}
