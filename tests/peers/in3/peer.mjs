// The published in3 client as a process: requests come in on standard input, a JSON object a line, answers go out the same way.
//   {"urls": [URL…], "race": N, "signers": N, "method", "params"}      asks nodes
//   {"recorded": RESPONSE, "times": N, "method", "params"}             verifies a recorded response, N times, without a network
// An answer is {"ok": VALUE, "micros"} or {"error": TEXT, "micros"}. The node list is set, never empty, and nothing else is asked.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { IN3 } = createRequire(import.meta.url)('in3')

const REGISTRY = {
  contract: '0xac1b824795e1eb1f6e609fe0da9b9af8beaab60f',
  registryId: '0x23d5345c5c13180a8080bd5ddbe7cde64683755dcce6e734d95b7b573845facb',
  needsUpdate: false,
}

let recorded = null
const fetched = globalThis.fetch
async function transport(url, payload) {
  if (recorded !== null) {
    const [request] = JSON.parse(payload)
    return JSON.stringify([{ ...recorded, id: request.id }])
  }
  const response = await fetched(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: payload })
  return response.text()
}

const clients = new Map()
async function client({ urls, race = 1 }) {
  const key = JSON.stringify([urls, race])
  if (!clients.has(key)) {
    const nodeList = urls.map((url, at) => ({
      address: '0x' + (at + 1).toString(16).padStart(40, '0'),
      url,
      props: '0xffff',
    }))
    const made = new IN3({
      chainId: '0x1',
      proof: 'standard',
      requestCount: race,
      maxAttempts: 2,
      timeout: 5000,
      autoUpdateList: false,
      bootWeights: false,
      stats: false,
      nodeRegistry: { ...REGISTRY, nodeList },
    })
    clients.set(key, made)
  }
  return clients.get(key)
}

async function handle(job) {
  recorded = job.recorded ?? null
  const asking = await client({ urls: job.urls ?? ['http://127.0.0.1:1/'], race: job.race })
  const times = job.times ?? 1
  const began = process.hrtime.bigint()
  let outcome
  try {
    for (let time = 0; time < times; time++) outcome = { ok: await asking.sendRPC(job.method, job.params) }
  } catch (error) {
    outcome = { error: String(error?.message ?? error) }
  }
  const micros = Number(process.hrtime.bigint() - began) / 1000 / times
  return { ...outcome, micros }
}

// Its transport is the one above: every address is the caller's, on loopback.
IN3.setTransport(transport)
// It keeps nothing on disk.
const kept = new Map()
IN3.setStorage({ get: (key) => kept.get(key), set: (key, value) => void kept.set(key, value) })
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await handle(JSON.parse(line))
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit(0)
