// ts-mls as a peer: one JSON object per line on standard input asks, one per line on standard output answers.
// Octets are hexadecimal. The only argument is the folder that holds node_modules, for it is not beside this file.
//
// Three faults of ts-mls 1.6.4 are worked around here and in mls_ts.py, not in the engine under test:
// it makes compressed P-256 signature keys (keys come from outside), it writes external_pub without its length header
// (`groupInfo` and `withoutHeader`), and it wraps the bodies of custom proposals in opaque<V> (the engine is told so).

import { webcrypto, X509Certificate } from "node:crypto"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { pathToFileURL } from "node:url"

globalThis.crypto ??= webcrypto

const library = pathToFileURL(join(process.argv[2], "node_modules", "ts-mls", "dist", "src") + "/").href
const mls = await import(library + "index.js")
const { createGroupInfo } = await import(library + "createCommit.js")
const { defaultClientConfig } = await import(library + "clientConfig.js")
const { ratchetTreeEncoder, decodeRatchetTree } = await import(library + "ratchetTree.js")
const { getCiphersuiteFromId } = await import(library + "crypto/ciphersuite.js")
const { makeKeyPackageRef } = await import(library + "keyPackage.js")
const { encode } = await import(library + "codec/tlsEncoder.js")

const hex = (octets) => Buffer.from(octets).toString("hex")
const octets = (text) => new Uint8Array(Buffer.from(text ?? "", "hex"))
const members = new Map()
const P256_OCTETS = 65
const MAX_ONE_OCTET_LENGTH = 63

// --- what it is asked with ----------------------------------------------------------------------------------------------

function credentialOf(given) {
  return given.certificates === undefined
    ? { credentialType: "basic", identity: octets(given.identity) }
    : { credentialType: "x509", certificates: given.certificates.map(octets) }
}

const extensionNames = { 3: "required_capabilities", 5: "external_senders" }

function extensionsOf(given) {
  return (given ?? []).map(([type, data]) => ({
    extensionType: extensionNames[type] ?? type,
    extensionData: octets(data),
  }))
}

function proposalOf(given) {
  switch (given.type) {
    case "add":
      return { proposalType: "add", add: { keyPackage: decoded(given.key_package).keyPackage } }
    case "remove":
      return { proposalType: "remove", remove: { removed: given.leaf } }
    case "psk":
      return { proposalType: "psk", psk: { preSharedKeyId: externalPsk(given) } }
    case "extensions":
      return {
        proposalType: "group_context_extensions",
        groupContextExtensions: { extensions: extensionsOf(given.extensions) },
      }
    default:
      return { proposalType: given.type, proposalData: octets(given.body) }
  }
}

function externalPsk(given) {
  return { psktype: "external", pskId: octets(given.psk_id), pskNonce: octets(given.psk_nonce) }
}

function decoded(text) {
  const found = mls.decodeMlsMessage(octets(text), 0)
  if (found === undefined) throw new Error("these octets are no MLSMessage")
  return found[0]
}

function message(wireformat, name, body) {
  return hex(mls.encodeMlsMessage({ version: "mls10", wireformat, [name]: body }))
}

function pskIndex(member) {
  return mls.makePskIndex(member.state, member.psks)
}

// A certificate vouches for the key that it has.
const certificates = {
  async validateCredential(credential, signaturePublicKey) {
    if (credential.credentialType !== "x509") return true
    const { publicKey } = new X509Certificate(credential.certificates[0])
    const { kty, crv, x, y } = publicKey.export({ format: "jwk" })
    const coordinates = [x, y].filter(Boolean).map((text) => Buffer.from(text, "base64url"))
    const point = Buffer.concat(kty === "EC" ? [Buffer.of(4), ...coordinates] : coordinates)
    return (crv === "P-256" || crv === "Ed25519") && point.equals(Buffer.from(signaturePublicKey))
  },
}

// --- external_pub -------------------------------------------------------------------------------------------------------

function withHeader(key) {
  const length = key.length > MAX_ONE_OCTET_LENGTH ? [0x40 | (key.length >> 8), key.length & 0xff] : [key.length]
  return Uint8Array.from([...length, ...key])
}

// The cipher suite, but that a public key may have its length header, as external_pub has.
function withoutHeader(suite) {
  const importPublicKey = (key) => {
    const headed = key.length === 33 ? 1 : key.length === P256_OCTETS + 2 ? 2 : 0
    return suite.hpke.importPublicKey(key.slice(headed))
  }
  return { ...suite, hpke: { ...suite.hpke, importPublicKey } }
}

async function groupInfo({ state, suite }, withTree, extensions) {
  const pair = await suite.hpke.deriveKeyPair(state.keySchedule.externalSecret)
  const key = withHeader(await suite.hpke.exportPublicKey(pair.publicKey))
  const all = [...extensions, { extensionType: "external_pub", extensionData: key }]
  if (withTree) all.push({ extensionType: "ratchet_tree", extensionData: encode(ratchetTreeEncoder)(state.ratchetTree) })
  return createGroupInfo(state.groupContext, state.confirmationTag, state, all, suite)
}

// --- what it can do -----------------------------------------------------------------------------------------------------

const commands = {
  async client(given) {
    const suite = await mls.getCiphersuiteImpl(getCiphersuiteFromId(given.suite))
    const psks = Object.fromEntries((given.psks ?? []).map(([id, key]) => [mls.bytesToBase64(octets(id)), octets(key)]))
    const config = { ...defaultClientConfig, authService: certificates }
    const keys = { signKey: octets(given.private_key), publicKey: octets(given.public_key) }
    members.set(given.name, { suite, psks, config, keys, given, packages: [], state: undefined })
    return {}
  },

  async key_package(given, member) {
    const own = member.given
    const capabilities = {
      versions: ["mls10"],
      ciphersuites: [member.suite.name],
      extensions: own.extensions ?? [],
      proposals: own.proposals ?? [],
      credentials: ["basic", "x509"],
    }
    const now = Math.floor(Date.now() / 1000)
    const [from, until] = own.lifetime ?? [now - 3600, now + 604800]
    const lifetime = { notBefore: BigInt(from), notAfter: BigInt(until) }
    const made = await mls.generateKeyPackageWithKey(
      credentialOf(own.credential), capabilities, lifetime, extensionsOf(given.extensions), member.keys, member.suite,
      extensionsOf(own.leaf_extensions),
    )
    member.packages.push(made)
    return { octets: message("mls_key_package", "keyPackage", made.publicPackage) }
  },

  async create(given, member) {
    await commands.key_package({}, member)
    const made = member.packages.pop()
    const { publicPackage, privatePackage } = made
    const extensions = extensionsOf(given.extensions)
    member.state = await mls.createGroup(
      octets(given.group_id), publicPackage, privatePackage, extensions, member.suite, member.config,
    )
    return {}
  },

  async join(given, member) {
    const { welcome } = decoded(given.welcome)
    const tree = given.tree === undefined ? undefined : decodeRatchetTree(octets(given.tree), 0)[0]
    for (const { publicPackage, privatePackage } of [...member.packages].reverse()) {
      const reference = await makeKeyPackageRef(publicPackage, member.suite.hash)
      if (member.packages.length > 1 && !welcome.secrets.some((each) => hex(each.newMember) === hex(reference))) continue
      member.state = await mls.joinGroup(
        welcome, publicPackage, privatePackage, pskIndex(member), member.suite, tree, undefined, member.config,
      )
      return {}
    }
    throw new Error("the Welcome is for none of its key packages")
  },

  async join_externally(given, member) {
    const info = decoded(given.group_info).groupInfo
    const tree = given.tree === undefined ? undefined : decodeRatchetTree(octets(given.tree), 0)[0]
    await commands.key_package({}, member)
    const { publicPackage, privatePackage } = member.packages.at(-1)
    const { publicMessage, newState } = await mls.joinGroupExternal(
      info, publicPackage, privatePackage, given.resync, withoutHeader(member.suite), tree, member.config,
      octets(given.authenticated_data),
    )
    member.state = newState
    return { octets: message("mls_public_message", "publicMessage", publicMessage) }
  },

  async commit(given, member) {
    const context = { state: member.state, cipherSuite: member.suite, pskIndex: pskIndex(member) }
    const made = await mls.createCommit(context, {
      wireAsPublicMessage: given.public,
      extraProposals: given.proposals.map(proposalOf),
      ratchetTreeExtension: given.tree,
      authenticatedData: octets(given.authenticated_data),
      groupInfoExtensions: extensionsOf(given.welcome_extensions),
    })
    member.state = made.newState
    return commitAnswer(made)
  },

  async propose(given, member) {
    const { state, suite } = member
    const made = await mls.createProposal(
      state, given.public, proposalOf(given.proposal), suite, octets(given.authenticated_data),
    )
    member.state = made.newState
    return { octets: hex(mls.encodeMlsMessage(made.message)) }
  },

  async seal(given, member) {
    const made = await mls.createApplicationMessage(
      member.state, octets(given.text), member.suite, octets(given.authenticated_data),
    )
    member.state = made.newState
    return { octets: message("mls_private_message", "privateMessage", made.privateMessage) }
  },

  async receive(given, member) {
    const { state, suite } = member
    const found = decoded(given.octets)
    const isPublic = found.wireformat === "mls_public_message"
    const result = isPublic
      ? await mls.processPublicMessage(state, found.publicMessage, pskIndex(member), suite)
      : await mls.processPrivateMessage(state, found.privateMessage, pskIndex(member), suite)
    member.state = result.newState
    const data = isPublic ? found.publicMessage.content.authenticatedData : found.privateMessage.authenticatedData
    return { text: result.message === undefined ? null : hex(result.message), authenticated_data: hex(data) }
  },

  async group_info(given, member) {
    const info = await groupInfo(member, given.tree, extensionsOf(given.extensions))
    return { octets: message("mls_group_info", "groupInfo", info) }
  },

  async headless_group_info(given, member) {
    const info = await mls.createGroupInfoWithExternalPubAndRatchetTree(member.state, [], member.suite)
    return { octets: message("mls_group_info", "groupInfo", info) }
  },

  async keep(given, member) {
    member.kept = member.state
    return {}
  },

  async go_back(given, member) {
    member.state = member.kept
    return {}
  },

  async tree(given, member) {
    return { octets: hex(encode(ratchetTreeEncoder)(member.state.ratchetTree)) }
  },

  async marks(given, member) {
    const { state, suite } = member
    const { exporterSecret, epochAuthenticator } = state.keySchedule
    const exported = await mls.mlsExporter(exporterSecret, given.label, octets(given.context), given.length, suite)
    return {
      epoch: Number(state.groupContext.epoch),
      group_id: hex(state.groupContext.groupId),
      authenticator: hex(epochAuthenticator),
      exporter: hex(exported),
      tree_hash: hex(state.groupContext.treeHash),
      extensions: state.groupContext.extensions.map((each) => [each.extensionType, hex(each.extensionData)]),
    }
  },
}

// --- groups that come out of a group: a new member, whose `origin` is its client in the old one -------------------------

function commitAnswer(made) {
  return {
    commit: hex(mls.encodeMlsMessage(made.commit)),
    welcome: made.welcome === undefined ? null : message("mls_welcome", "welcome", made.welcome),
    tree: hex(encode(ratchetTreeEncoder)(made.newState.ratchetTree)),
  }
}

async function ownPackage(member) {
  if (member.packages.length === 0) await commands.key_package({}, member)
  const { publicPackage, privatePackage } = member.packages.at(-1)
  return [publicPackage, privatePackage]
}

Object.assign(commands, {
  async end(given, member) {
    const { name } = getCiphersuiteFromId(given.suite)
    const made = await mls.reinitGroup(
      member.state, octets(given.group_id), "mls10", name, extensionsOf(given.extensions), member.suite,
    )
    member.state = made.newState
    return commitAnswer(made)
  },

  async branch(given, member) {
    const { state } = members.get(given.origin)
    const packages = given.key_packages.map((each) => decoded(each).keyPackage)
    const own = await ownPackage(member)
    const made = await mls.branchGroup(state, ...own, packages, octets(given.group_id), member.suite)
    member.state = made.newState
    return commitAnswer(made)
  },

  async reinitialize(given, member) {
    const { state } = members.get(given.origin)
    const { groupId, extensions } = state.groupActiveState.reinit
    const packages = given.key_packages.map((each) => decoded(each).keyPackage)
    const own = await ownPackage(member)
    const made = await mls.reinitCreateNewGroup(state, ...own, packages, groupId, member.suite.name, extensions)
    member.state = made.newState
    return commitAnswer(made)
  },

  async join_successor(given, member) {
    const { state } = members.get(given.origin)
    const tree = given.tree === undefined ? undefined : decodeRatchetTree(octets(given.tree), 0)[0]
    const own = await ownPackage(member)
    const { welcome } = decoded(given.welcome)
    member.state = state.groupActiveState.kind === "suspendedPendingReinit"
      ? await mls.joinGroupFromReinit(state, welcome, ...own, tree)
      : await mls.joinGroupFromBranch(state, welcome, ...own, tree, member.suite)
    return {}
  },
})

// --- the conversation ---------------------------------------------------------------------------------------------------

async function answer(line) {
  try {
    const given = JSON.parse(line)
    return await commands[given.do](given, members.get(given.name))
  } catch (error) {
    return { error: `${error.name}: ${error.message}` }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(line)) + "\n")
}
