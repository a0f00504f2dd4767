#!/usr/bin/env node
// Runs the official openai client for Node, unchanged, against a server.
//
//   node openai_client_test.mjs http://127.0.0.1:8080/v1 [--model NAME] [--api-key KEY]
//
// Needs `npm ci` in this folder. Prints one line a check and 'N passed, N failed'; ends with 1 if one failed.
import assert from "node:assert/strict";
import { parseArgs } from "node:util";

import OpenAI from "openai";
import { VERSION } from "openai/version";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: "string" }, "api-key": { type: "string", default: "none" } },
});
if (positionals.length !== 1) {
  console.error("usage: node openai_client_test.mjs BASE_URL [--model NAME] [--api-key KEY]");
  process.exit(2);
}
const client = new OpenAI({ baseURL: positionals[0], apiKey: options["api-key"], maxRetries: 0, timeout: 120_000 });
const model = options.model ?? (await client.models.list()).data[0].id;
const messages = [
  { role: "system", content: "You are a helpful assistant." },
  { role: "user", content: "Tell me a story about a small robot by the sea." },
];
const prompt = "Once upon a time there was a small robot";
const chat = (extra = {}) =>
  client.chat.completions.create({ model, messages, max_completion_tokens: 24, temperature: 0, ...extra });
const complete = (extra = {}) => client.completions.create({ model, prompt, max_tokens: 24, temperature: 0, ...extra });

// Puts a stream together: the text of each choice, its reason to finish, and the usage if it came.
async function collect(stream, textOf) {
  const result = { texts: [], finishes: [], usage: null };
  for await (const chunk of stream) {
    for (const choice of chunk.choices) {
      result.texts[choice.index] = (result.texts[choice.index] ?? "") + (textOf(choice) ?? "");
      if (choice.finish_reason) result.finishes[choice.index] = choice.finish_reason;
    }
    if (chunk.usage) result.usage = chunk.usage;
  }
  return result;
}
const delta = (choice) => choice.delta.content;

async function rejects(call, type, word) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof type, `expected ${type.name}, got ${error}`);
    assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
    assert.ok(error.error.message.includes(word) || error.error.param === word, `no '${word}' in ${error.message}`);
    return true;
  });
}

const checks = {
  async "models are listed"() {
    const ids = [];
    for await (const entry of client.models.list()) ids.push(entry.id);
    assert.ok(ids.includes(model));
    assert.equal((await client.models.retrieve(model)).object, "model");
    await rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError, "no-such-model");
  },
  async "chat answers"() {
    const answer = await chat();
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.ok(answer.choices[0].message.content.length > 0);
    assert.equal(answer.choices[0].message.refusal, null);
    assert.equal(answer.choices[0].logprobs, null);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  },
  async "chat streams the same text"() {
    const whole = await chat();
    const streamed = await collect(await chat({ stream: true, stream_options: { include_usage: true } }), delta);
    assert.equal(streamed.texts[0], whole.choices[0].message.content);
    assert.deepEqual(streamed.finishes, [whole.choices[0].finish_reason]);
    assert.deepEqual(streamed.usage, whole.usage);
  },
  async "the stream helper puts a message together"() {
    const whole = await chat();
    const runner = client.chat.completions.stream({ model, messages, max_completion_tokens: 24, temperature: 0 });
    assert.equal(await runner.finalContent(), whole.choices[0].message.content);
  },
  async "several choices"() {
    const answer = await chat({ n: 2, temperature: 1, seed: 11 });
    const texts = answer.choices.map((choice) => choice.message.content);
    assert.equal(texts.length, 2);
    assert.notEqual(texts[0], texts[1]);
    const streamed = await collect(await chat({ n: 2, temperature: 1, seed: 11, stream: true }), delta);
    assert.deepEqual(streamed.texts, texts);
  },
  async "logprobs"() {
    const answer = await chat({ logprobs: true, top_logprobs: 2 });
    for (const token of answer.choices[0].logprobs.content) {
      assert.equal(token.top_logprobs.length, 2);
      assert.ok(token.logprob <= 0);
      assert.ok(Math.abs(token.logprob - token.top_logprobs[0].logprob) < 1e-4);
      assert.ok(Array.isArray(token.bytes));
    }
  },
  async "stop strings cut the text"() {
    const text = (await chat()).choices[0].message.content;
    // By code points, lest a pair of surrogates be cut in two; and no bytes that are not text.
    const points = Array.from(text);
    let start = Math.floor(points.length / 3);
    while (points.slice(start, start + 2).includes("\ufffd")) ++start;
    const stop = points.slice(start, start + 2).join("");
    const answer = await chat({ stop });
    assert.equal(answer.choices[0].message.content, text.slice(0, text.indexOf(stop)));
    assert.equal(answer.choices[0].finish_reason, "stop");
  },
  async "seeds decide"() {
    const text = async (seed) => (await chat({ temperature: 1, seed })).choices[0].message.content;
    assert.equal(await text(5), await text(5));
    assert.ok(new Set([await text(1), await text(2), await text(3)]).size > 1);
  },
  async "token limits hold"() {
    const answer = await chat({ max_completion_tokens: 3 });
    assert.equal(answer.usage.completion_tokens, 3);
    assert.equal(answer.choices[0].finish_reason, "length");
  },
  async "completions answer and stream"() {
    const answer = await complete();
    assert.equal(answer.object, "text_completion");
    const streamed = await collect(
      await complete({ stream: true, stream_options: { include_usage: true } }),
      (choice) => choice.text,
    );
    assert.equal(streamed.texts[0], answer.choices[0].text);
    assert.deepEqual(streamed.usage, answer.usage);
  },
  async "leaving a stream early is fine"() {
    for (let round = 0; round < 5; ++round) {
      const stream = await chat({ stream: true, max_completion_tokens: 200 });
      for await (const chunk of stream) {
        if (chunk.choices[0]?.delta.content) break; // closes the connection
      }
    }
    assert.ok((await chat()).choices[0].message.content.length > 0);
  },
  async "requests side by side"() {
    const alone = (await chat()).choices[0].message.content;
    const together = await Promise.all(Array.from({ length: 8 }, () => chat()));
    for (const answer of together) assert.equal(answer.choices[0].message.content.length > 0, true);
    assert.equal((await chat()).choices[0].message.content, alone);
  },
  async "errors are the client's own classes"() {
    const tool = { type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } };
    await rejects(chat({ model: "no-such-model" }), OpenAI.NotFoundError, "no-such-model");
    await rejects(chat({ tools: [tool] }), OpenAI.BadRequestError, "tools");
    await rejects(chat({ response_format: { type: "json_object" } }), OpenAI.BadRequestError, "response_format");
    await rejects(chat({ temperature: "hot" }), OpenAI.BadRequestError, "temperature");
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    ++failed;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
console.log(`openai ${VERSION}: ${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
