// Application messages of two members of ts-mls, cipher suite 2: CPU microseconds a message, as one JSON object.
// Arguments: the folder that holds node_modules, the number of messages, and their octets.

import { webcrypto } from "node:crypto"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

globalThis.crypto ??= webcrypto

const [folder, count, octets] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
const WARM_UP = 100
const mls = await import(pathToFileURL(join(folder, "node_modules", "ts-mls", "dist", "src", "index.js")).href)
const suite = await mls.getCiphersuiteImpl(mls.getCiphersuiteFromName("MLS_128_DHKEMP256_AES128GCM_SHA256_P256"))

async function keyPackage(name) {
  const credential = { credentialType: "basic", identity: new TextEncoder().encode(name) }
  return mls.generateKeyPackage(credential, mls.defaultCapabilities(), mls.defaultLifetime, [], suite)
}

const [alice, bob] = [await keyPackage("alice"), await keyPackage("bob")]
let sender = await mls.createGroup(
  new TextEncoder().encode("group"), alice.publicPackage, alice.privatePackage, [], suite,
)
const added = await mls.createCommit({ state: sender, cipherSuite: suite }, {
  extraProposals: [{ proposalType: "add", add: { keyPackage: bob.publicPackage } }],
  ratchetTreeExtension: true,
})
sender = added.newState
let reader = await mls.joinGroup(added.welcome, bob.publicPackage, bob.privatePackage, mls.emptyPskIndex, suite)

const text = new Uint8Array(octets)
const sent = []

async function encrypt() {
  const { newState, privateMessage } = await mls.createApplicationMessage(sender, text, suite)
  sender = newState
  sent.push(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage }))
}

async function decrypt(message) {
  const { privateMessage } = mls.decodeMlsMessage(message, 0)[0]
  reader = (await mls.processPrivateMessage(reader, privateMessage, mls.emptyPskIndex, suite)).newState
}

async function cpuMicroseconds(step, many) {
  const before = process.cpuUsage()
  for (let number = 0; number < many; number++) await step(number)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / many
}

await cpuMicroseconds(encrypt, WARM_UP)
await cpuMicroseconds((number) => decrypt(sent[number]), WARM_UP)
sent.length = 0
const encrypt_us = await cpuMicroseconds(encrypt, count)
const decrypt_us = await cpuMicroseconds((number) => decrypt(sent[number]), count)
console.log(JSON.stringify({ encrypt_us, decrypt_us }))
