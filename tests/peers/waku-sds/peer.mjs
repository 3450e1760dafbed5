// One @waku/sds peer at one end of a TCP connection: the counterpart of `quorate sds`, same frames, same lines, same summary.
// A frame is a big-endian u32, then an SDS message of so many bytes. Options as `--name value`; times in milliseconds.
import { MessageChannel, MessageChannelEvent, Message, isContentMessage } from "@waku/sds";
import { createHash } from "node:crypto";
import net from "node:net";

const defaults = {
  connect: "", id: "js", channel: "quorate", send: 0, size: 64, expect: 0, drop: 0, seed: 1,
  retry: 1500, sync: 400, tmin: 200, tmax: 1000, timeout: 60, linger: 2, causal: 200,
};
const options = { ...defaults };
for (let at = 2; at < process.argv.length; at += 2) {
  const name = process.argv[at].slice(2);
  if (!(name in defaults)) throw new Error(`no option --${name}`);
  options[name] = typeof defaults[name] === "number" ? Number(process.argv[at + 1]) : process.argv[at + 1];
}

const say = (object) => process.stdout.write(JSON.stringify(object) + "\n");
const count = {
  frames: 0, bytes: 0, dropped: 0, received: 0, undecodable: 0, errors: 0, retries: 0, syncs: 0, syncsReceived: 0,
  repairsAsked: 0, repairsGiven: 0, again: 0, inversions: 0,
};

// Loss is drawn from the seed, one frame after the other.
let state = BigInt(options.seed) * 0x9e3779b97f4a7c15n;
function isLost() {
  state = (state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
  let z = state;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
  return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53 < options.drop;
}

const channel = new MessageChannel(options.channel, options.id, {
  causalHistorySize: options.causal,
  repairConfig: { tMin: options.tmin, tMax: options.tmax },
});

let socket;
function transmit(message) {
  const bytes = message.encode();
  count.frames += 1;
  count.bytes += bytes.length + 4;
  if (isLost()) {
    count.dropped += 1;
    return;
  }
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  socket?.write(Buffer.concat([head, bytes]));
}

const own = new Map(); // id -> payload and when it was tried
const received = new Map(); // id -> message
const delivered = new Set();
const overtaken = new Set();
const acknowledged = new Set();

channel.addEventListener(MessageChannelEvent.InMessageReceived, ({ detail }) => received.set(detail.messageId, detail));
channel.addEventListener(MessageChannelEvent.InMessageDelivered, ({ detail: id }) => {
  if (delivered.has(id)) {
    count.again += 1;
    return;
  }
  if (overtaken.has(id)) count.inversions += 1;
  delivered.add(id);
  const message = received.get(id);
  for (const { messageId } of message?.causalHistory ?? []) {
    if (!delivered.has(messageId) && !own.has(messageId)) overtaken.add(messageId);
  }
  const lamport = Number(message?.lamportTimestamp ?? 0);
  say({ event: "delivered", sequence: delivered.size, id, sender: message?.senderId, lamport });
});
channel.addEventListener(MessageChannelEvent.OutMessageAcknowledged, ({ detail: id }) => {
  acknowledged.add(id);
  say({ event: "acknowledged", id });
});
channel.addEventListener(MessageChannelEvent.ErrorTask, ({ detail }) => {
  count.errors += 1;
  process.stderr.write(`task: ${detail.error}\n`);
});
channel.addEventListener(MessageChannelEvent.InSyncReceived, () => (count.syncsReceived += 1));
channel.addEventListener(MessageChannelEvent.RepairRequestSent, () => (count.repairsAsked += 1));
channel.addEventListener(MessageChannelEvent.RepairResponseSent, () => (count.repairsGiven += 1));

async function push(id, payload) {
  own.set(id, { payload, tried: Date.now() });
  channel.pushOutgoingMessage(payload, async (message) => {
    transmit(message);
    return { success: true };
  });
  await channel.processTasks();
}

// Tasks run one at a time.
let chain = Promise.resolve();
const queue = (task) => (chain = chain.then(task).catch((error) => process.stderr.write(`${error}\n`)));

let sent = 0;
async function sendOne() {
  if (!socket || sent >= options.send) return;
  const text = `${options.id} ${sent} `;
  const payload = new TextEncoder().encode(text.padEnd(options.size, "."));
  sent += 1;
  await push(MessageChannel.getMessageId(payload), payload);
}

async function sweep() {
  channel.sweepIncomingBuffer();
  const { unacknowledged, possiblyAcknowledged } = channel.sweepOutgoingBuffer();
  for (const { messageId } of [...unacknowledged, ...possiblyAcknowledged]) {
    const entry = own.get(messageId);
    if (entry && Date.now() - entry.tried >= options.retry) {
      count.retries += 1;
      await push(messageId, entry.payload);
    }
  }
  await channel.sweepRepairIncomingBuffer(async (message) => transmit(message));
}

async function sync() {
  const left = await channel.pushOutgoingSyncMessage(async (message) => {
    transmit(message);
    return true;
  });
  if (left) count.syncs += 1;
}

let buffered = Buffer.alloc(0);
function frames(bytes) {
  buffered = Buffer.concat([buffered, bytes]);
  while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
    const end = 4 + buffered.readUInt32BE(0);
    const frame = new Uint8Array(buffered.subarray(4, end));
    buffered = buffered.subarray(end);
    queue(async () => {
      count.received += 1;
      const message = Message.decode(frame);
      if (!message) {
        count.undecodable += 1;
        return;
      }
      if (isContentMessage(message) && received.has(message.messageId)) count.again += 1;
      channel.pushIncomingMessage(message);
      await channel.processTasks();
    });
  }
}

const began = Date.now();
let doneAt;
function end(code, why) {
  const ids = [...new Set([...own.keys(), ...delivered])].sort();
  const hash = createHash("sha256").update(ids.map((id) => `${id}\n`).join("")).digest("hex");
  say({
    event: "summary", sent, acknowledged: acknowledged.size, delivered: delivered.size, expected: options.expect, hash,
    ...count, why, seconds: (Date.now() - began) / 1000,
  });
  process.stdout.write("", () => process.exit(code));
}

const [host, port] = options.connect.split(":");
const opened = net.connect(Number(port), host, () => (socket = opened));
opened.setNoDelay(true);
opened.on("data", frames);
opened.on("error", (error) => process.stderr.write(`${error}\n`));
opened.on("close", () => (socket = undefined));

setInterval(() => queue(sendOne), 10);
setInterval(() => queue(sweep), 100);
setInterval(() => queue(sync), options.sync);
setInterval(() => {
  if (doneAt === undefined && sent >= options.send && acknowledged.size >= options.send && delivered.size >= options.expect) {
    doneAt = Date.now();
  }
  if (doneAt !== undefined && Date.now() - doneAt >= options.linger * 1000) end(0, "done");
  if (doneAt === undefined && Date.now() - began >= options.timeout * 1000) end(1, "not all was acknowledged and delivered");
}, 50);
