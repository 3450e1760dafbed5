// What @waku/sds costs: `node bench.mjs MESSAGES HISTORY`, one JSON object on standard output. Times are CPU time of this process.
import { MessageChannel, Message } from "@waku/sds";

const messages = Number(process.argv[2] ?? 200);
const history = Number(process.argv[3] ?? 0);
const causalHistorySize = Number(process.argv[4] ?? 200);
const size = 1024;

const alice = new MessageChannel("bench", "alice", { causalHistorySize });
const bob = new MessageChannel("bench", "bob", { causalHistorySize });
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function wrap(number) {
  const payload = new Uint8Array(size).fill(number & 0xff);
  new DataView(payload.buffer).setUint32(0, number);
  let bytes;
  alice.pushOutgoingMessage(payload, async (message) => {
    bytes = message.encode();
    return { success: true };
  });
  await alice.processTasks();
  return bytes;
}

const built = cpu();
for (let number = 0; number < history; number += 1) {
  bob.pushIncomingMessage(Message.decode(await wrap(number)));
  await bob.processTasks();
}

const build = cpu() - built;

const wire = [];
let begin = cpu();
for (let number = history; number < history + messages; number += 1) wire.push(await wrap(number));
const wrapped = cpu() - begin;
begin = cpu();
for (const bytes of wire) {
  bob.pushIncomingMessage(Message.decode(bytes));
  await bob.processTasks();
}
const unwrapped = cpu() - begin;
const bytes = wire.reduce((sum, one) => sum + one.length, 0) / messages;
console.log(JSON.stringify({ messages, history, causalHistorySize, build, wrap: wrapped, unwrap: unwrapped, bytes }));
process.exit(0);
