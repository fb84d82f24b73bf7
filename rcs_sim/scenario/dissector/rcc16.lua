-- End-to-end encrypted RCS (RCC.16) in Wireshark and tshark: message/cpim, message/mls (RFC 9420), and what a sealed
-- message says, for whoever has the key log of rcs-sim.
--
--   tshark -X lua_script:rcc16.lua -o rcc16.keylog:mls.keylog -r mls.pcapng -Y rcc16.text -T fields -e rcc16.text
--
-- Cipher suites 1 and 2 (AES-128-GCM and SHA-256). Only messages of one MSRP chunk or of a SIP body can be opened:
-- Wireshark does not put binary chunks together. Runs on Lua 5.1 to 5.4.

-- ---------------------------------------------------------------------------------------------------- 32-bit words

local native = load and load([[
  local M = {}
  function M.band(a, b) return a & b end
  function M.bxor(a, b) return (a ~ b) & 0xFFFFFFFF end
  function M.bnot(a) return ~a & 0xFFFFFFFF end
  function M.rshift(a, n) return (a & 0xFFFFFFFF) >> n end
  function M.lshift(a, n) return (a << n) & 0xFFFFFFFF end
  return M
]])
local word = bit32 or (native and native()) or bit
local band, bxor, bnot, rshift, lshift = word.band, word.bxor, word.bnot, word.rshift, word.lshift

local function u32(number) return number % 4294967296 end -- bit of LuaJIT is signed
local function rotate(a, n) return u32(u32(rshift(a, n)) + u32(lshift(a, 32 - n))) end

local function number_at(text, place, octets)
  local value = 0
  for i = place, place + octets - 1 do value = value * 256 + text:byte(i) end
  return value
end

local function octets_of(value, octets)
  local out = {}
  for i = octets, 1, -1 do
    out[i] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(out)
end

local function from_hex(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function xor_text(a, b)
  local out = {}
  for i = 1, math.min(#a, #b) do out[i] = string.char(band(bxor(a:byte(i), b:byte(i)), 255)) end
  return table.concat(out)
end

-- ------------------------------------------------------------------------------------- SHA-256, HMAC, HKDF (RFC 5869)

local PRIMES, K, H0 = {}, {}, {}
do
  local candidate = 2
  while #PRIMES < 64 do
    local is_prime = true
    for _, prime in ipairs(PRIMES) do
      if candidate % prime == 0 then is_prime = false break end
    end
    if is_prime then PRIMES[#PRIMES + 1] = candidate end
    candidate = candidate + 1
  end
  local function fraction(value) return math.floor((value - math.floor(value)) * 4294967296) end
  local function cube_root(n) -- one step of Newton makes math.pow good for 32 bits behind the point
    local x = n ^ (1 / 3)
    return x - (x * x * x - n) / (3 * x * x)
  end
  for i = 1, 64 do K[i] = fraction(cube_root(PRIMES[i])) end
  for i = 1, 8 do H0[i] = fraction(math.sqrt(PRIMES[i])) end
end

local function sha256(text)
  local padded = text .. "\128" .. string.rep("\0", (55 - #text) % 64) .. octets_of(#text * 8, 8)
  local h = {}
  for i = 1, 8 do h[i] = H0[i] end
  local w = {}
  for block = 1, #padded, 64 do
    for i = 1, 16 do w[i] = number_at(padded, block + (i - 1) * 4, 4) end
    for i = 17, 64 do
      local a, b = w[i - 15], w[i - 2]
      local s0 = bxor(bxor(rotate(a, 7), rotate(a, 18)), rshift(a, 3))
      local s1 = bxor(bxor(rotate(b, 17), rotate(b, 19)), rshift(b, 10))
      w[i] = u32(w[i - 16] + u32(s0) + w[i - 7] + u32(s1))
    end
    local a, b, c, d, e, f, g, z = h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8]
    for i = 1, 64 do
      local s1 = u32(bxor(bxor(rotate(e, 6), rotate(e, 11)), rotate(e, 25)))
      local choice = u32(bxor(band(e, f), band(bnot(e), g)))
      local t1 = u32(z + s1 + choice + K[i] + w[i])
      local s0 = u32(bxor(bxor(rotate(a, 2), rotate(a, 13)), rotate(a, 22)))
      local majority = u32(bxor(bxor(band(a, b), band(a, c)), band(b, c)))
      z, g, f, e, d, c, b, a = g, f, e, u32(d + t1), c, b, a, u32(t1 + s0 + majority)
    end
    local sums = { a, b, c, d, e, f, g, z }
    for i = 1, 8 do h[i] = u32(h[i] + sums[i]) end
  end
  local out = {}
  for i = 1, 8 do out[i] = octets_of(h[i], 4) end
  return table.concat(out)
end

local function hmac(key, text)
  key = key .. string.rep("\0", 64 - #key)
  local inner = xor_text(key, string.rep("\54", 64))
  return sha256(xor_text(key, string.rep("\92", 64)) .. sha256(inner .. text))
end

local function vector(text) -- opaque text<V> (RFC 9420 §2.1.2)
  local length = #text
  if length < 64 then return string.char(length) .. text end
  if length < 16384 then return octets_of(0x4000 + length, 2) .. text end
  return octets_of(0x80000000 + length, 4) .. text
end

local function expand_with_label(secret, label, context, length) -- RFC 9420 §8; at most 32 octets
  local info = octets_of(length, 2) .. vector("MLS 1.0 " .. label) .. vector(context)
  return hmac(secret, info .. "\1"):sub(1, length)
end

-- ---------------------------------------------------------------------------------------- AES-128-GCM (SP 800-38D)

local SBOX = {}
do
  local p, q = 1, 1
  repeat
    p = band(bxor(bxor(p, lshift(p, 1)), band(p, 128) ~= 0 and 0x11B or 0), 255)
    q = band(bxor(q, lshift(q, 1)), 255)
    q = band(bxor(q, lshift(q, 2)), 255)
    q = band(bxor(q, lshift(q, 4)), 255)
    if band(q, 128) ~= 0 then q = band(bxor(q, 9), 255) end
    local function turn(n) return band(bxor(lshift(q, n), rshift(q, 8 - n)), 255) end
    SBOX[p] = band(bxor(bxor(bxor(bxor(bxor(q, turn(1)), turn(2)), turn(3)), turn(4)), 99), 255)
  until p == 1
  SBOX[0] = 99
end

local function double(a)
  a = a * 2
  return a < 256 and a or band(bxor(a - 256, 27), 255)
end

local function key_schedule(key)
  local w, constant = {}, 1
  for i = 1, 16 do w[i] = key:byte(i) end
  for i = 16, 172, 4 do
    local t = { w[i - 3], w[i - 2], w[i - 1], w[i] }
    if i % 16 == 0 then
      t = { band(bxor(SBOX[t[2]], constant), 255), SBOX[t[3]], SBOX[t[4]], SBOX[t[1]] }
      constant = double(constant)
    end
    for j = 1, 4 do w[i + j] = band(bxor(w[i + j - 16], t[j]), 255) end
  end
  return w
end

local SHIFTED = { 1, 6, 11, 16, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12 }

local function encrypt_block(w, block)
  local s = {}
  for i = 1, 16 do s[i] = band(bxor(block:byte(i), w[i]), 255) end
  for round = 1, 10 do
    local t = {}
    for i = 1, 16 do t[i] = SBOX[s[SHIFTED[i]]] end
    if round < 10 then
      for c = 1, 13, 4 do
        local a, b, d, e = t[c], t[c + 1], t[c + 2], t[c + 3]
        local all = bxor(bxor(a, b), bxor(d, e))
        t[c] = band(bxor(bxor(a, all), double(band(bxor(a, b), 255))), 255)
        t[c + 1] = band(bxor(bxor(b, all), double(band(bxor(b, d), 255))), 255)
        t[c + 2] = band(bxor(bxor(d, all), double(band(bxor(d, e), 255))), 255)
        t[c + 3] = band(bxor(bxor(e, all), double(band(bxor(e, a), 255))), 255)
      end
    end
    for i = 1, 16 do s[i] = band(bxor(t[i], w[round * 16 + i]), 255) end
  end
  local out = {}
  for i = 1, 16 do out[i] = string.char(s[i]) end
  return table.concat(out)
end

local function words_of(block)
  return { number_at(block, 1, 4), number_at(block, 5, 4), number_at(block, 9, 4), number_at(block, 13, 4) }
end

local function multiply(x, y) -- in GF(2^128), the first bit is the lowest power
  local z, v = { 0, 0, 0, 0 }, { y[1], y[2], y[3], y[4] }
  for i = 1, 4 do
    for place = 31, 0, -1 do
      if math.floor(x[i] / 2 ^ place) % 2 == 1 then
        for j = 1, 4 do z[j] = u32(bxor(z[j], v[j])) end
      end
      local carry = v[4] % 2
      for j = 4, 2, -1 do v[j] = math.floor(v[j] / 2) + (v[j - 1] % 2) * 2147483648 end
      v[1] = math.floor(v[1] / 2)
      if carry == 1 then v[1] = u32(bxor(v[1], 0xE1000000)) end
    end
  end
  return z
end

local function ghash(h, text)
  local y = { 0, 0, 0, 0 }
  for block = 1, #text, 16 do
    local x = words_of(text:sub(block, block + 15))
    for j = 1, 4 do x[j] = u32(bxor(x[j], y[j])) end
    y = multiply(x, h)
  end
  return octets_of(y[1], 4) .. octets_of(y[2], 4) .. octets_of(y[3], 4) .. octets_of(y[4], 4)
end

local function filled(text) return text .. string.rep("\0", -#text % 16) end

local function open_gcm(key, nonce, aad, sealed) -- nil if the tag is wrong
  if #sealed < 16 then return nil end
  local w = key_schedule(key)
  local text, tag = sealed:sub(1, -17), sealed:sub(-16)
  local h = words_of(encrypt_block(w, string.rep("\0", 16)))
  local lengths = octets_of(#aad * 8, 8) .. octets_of(#text * 8, 8)
  local wanted = ghash(h, filled(aad) .. filled(text) .. lengths)
  if xor_text(wanted, encrypt_block(w, nonce .. octets_of(1, 4))) ~= tag then return nil end
  local out = {}
  for block = 1, #text, 16 do
    local counter = encrypt_block(w, nonce .. octets_of(2 + (block - 1) / 16, 4))
    out[#out + 1] = xor_text(text:sub(block, block + 15), counter)
  end
  return table.concat(out)
end

-- ------------------------------------------------------------------------------------------------------- the key log

local proto = Proto("rcc16", "RCS end-to-end encryption (RCC.16, MLS)")
proto.prefs.keylog = Pref.string("Key log", "", "File with the key log of rcs-sim; empty: nothing is opened")

local log, log_name

-- By group and epoch the secrets of all groups that had that id, one era after the other, and all keys at each place.
local function read_log(name)
  local found, file = {}, io.open(name, "r")
  if not file then return found end
  for line in file:lines() do
    local kind, group, epoch, rest = line:match("^(%u+) (%x+) (%d+) (.+)$")
    local place = group and (group:lower() .. " " .. epoch)
    if kind == "EPOCH" then
      local suite, secret = rest:match("^(%d+) (%x+)")
      found[place] = found[place] or { suite = tonumber(suite), secrets = {}, keys = {} }
      table.insert(found[place].secrets, from_hex(secret))
    elseif kind == "MESSAGE" and found[place] then
      local leaf, ratchet, generation, key, nonce = rest:match("^(%d+) (%d+) (%d+) (%x+) (%x+)")
      local at = leaf .. " " .. ratchet .. " " .. generation
      found[place].keys[at] = found[place].keys[at] or {}
      table.insert(found[place].keys[at], { from_hex(key), from_hex(nonce) })
    end
  end
  file:close()
  return found
end

local function epoch_of(group, epoch)
  local name = proto.prefs.keylog
  if name ~= log_name then log, log_name = nil, name end
  if not log then log = name ~= "" and read_log(name) or {} end
  local hex = group:gsub(".", function(c) return string.format("%02x", c:byte()) end)
  return log[hex .. " " .. string.format("%.0f", epoch)]
end

function proto.prefs_changed() log = nil end
function proto.init() log = nil end -- a file is opened anew: the log may have grown

-- --------------------------------------------------------------------------------------------- structures (RFC 9420)

local function reader(text)
  local self = { place = 1 }
  function self.take(count)
    if self.place + count - 1 > #text then error("truncated", 0) end
    local from = self.place
    self.place = from + count
    return text:sub(from, self.place - 1), from - 1
  end
  function self.number(count)
    local octets, from = self.take(count)
    return number_at(octets, 1, count), from
  end
  function self.vector()
    local first = self.number(1)
    local width = math.floor(first / 64)
    if width == 3 then error("a length of eight octets", 0) end
    local length = first % 64
    for _ = 2, 2 ^ width do length = length * 256 + self.number(1) end
    return self.take(length)
  end
  return self
end

local WIRE_FORMATS = { "PublicMessage", "PrivateMessage", "Welcome", "GroupInfo", "KeyPackage" }
local CONTENT_TYPES = { "application", "proposal", "commit" }

local f = {
  header = ProtoField.string("rcc16.cpim_header", "CPIM header"),
  wire_format = ProtoField.uint16("rcc16.wire_format", "Wire format", base.DEC, WIRE_FORMATS),
  group_id = ProtoField.bytes("rcc16.group_id", "Group ID"),
  epoch = ProtoField.string("rcc16.epoch", "Epoch"),
  content_type = ProtoField.uint8("rcc16.content_type", "Content type", base.DEC, CONTENT_TYPES),
  aad = ProtoField.bytes("rcc16.authenticated_data", "Authenticated data"),
  sender_data = ProtoField.bytes("rcc16.encrypted_sender_data", "Encrypted sender data"),
  ciphertext = ProtoField.bytes("rcc16.ciphertext", "Ciphertext"),
  body = ProtoField.bytes("rcc16.body", "Body"),
  leaf = ProtoField.uint32("rcc16.sender_leaf", "Sender leaf"),
  generation = ProtoField.uint32("rcc16.generation", "Generation"),
  plaintext = ProtoField.bytes("rcc16.plaintext", "Plaintext"),
  payload_type = ProtoField.uint16("rcc16.payload_type", "Payload type"),
  inner_type = ProtoField.string("rcc16.inner_content_type", "Content-Type inside"),
  text = ProtoField.string("rcc16.text", "Text"),
  status = ProtoField.string("rcc16.status", "Opened"),
}
proto.fields = f

local function open_sender_data(secret, message)
  local sample = message.ciphertext:sub(1, 32)
  local key = expand_with_label(secret, "key", sample, 16)
  local nonce = expand_with_label(secret, "nonce", sample, 12)
  local aad = vector(message.group) .. octets_of(message.epoch, 8) .. string.char(message.content_type)
  local opened = open_gcm(key, nonce, aad, message.sender_data)
  if not opened then return nil end
  return { leaf = number_at(opened, 1, 4), generation = number_at(opened, 5, 4), guard = opened:sub(9, 12) }
end

-- What a message says, and why not: plaintext, sender, status.
local function open_message(message)
  local epoch = epoch_of(message.group, message.epoch)
  if not epoch then return nil, nil, "no key log, or none of this epoch" end
  if epoch.suite > 2 then return nil, nil, "cipher suite " .. epoch.suite .. " is not known here" end
  local sender
  for _, secret in ipairs(epoch.secrets) do sender = sender or open_sender_data(secret, message) end
  if not sender then return nil, nil, "the sender data does not open" end
  local ratchet = message.content_type == 1 and 2 or 1
  local keys = epoch.keys[string.format("%.0f %d %.0f", sender.leaf, ratchet, sender.generation)]
  if not keys then return nil, sender, "the key of this generation is not in the log" end
  local aad = vector(message.group) .. octets_of(message.epoch, 8) .. string.char(message.content_type)
  for _, key in ipairs(keys) do
    local nonce = xor_text(key[2], sender.guard .. string.rep("\0", 8))
    local opened = open_gcm(key[1], nonce, aad .. vector(message.aad), message.ciphertext)
    if opened then return opened, sender, "yes" end
  end
  return nil, sender, "the content does not open"
end

local function show_payload(opened, tree)
  local data = reader(opened).vector() -- application_data<V>; signature and padding follow
  tree:add(f.plaintext, ByteArray.new(data, true):tvb("Application data")())
  local payload = reader(data)
  if payload.number(2) ~= 1 then return end
  tree:add(f.payload_type, (payload.number(2)))
  payload.number(4)
  local entity = payload.vector()
  local headers, body = entity:match("^\r\n(.-)\r\n\r\n(.*)$")
  if not headers then headers, body = entity:match("^.-\r\n\r\n(.-)\r\n\r\n(.*)$") end
  if not body then return end
  local inner = headers:match("[Cc]ontent%-[Tt]ype:%s*([^\r\n]+)") or ""
  tree:add(f.inner_type, inner)
  if inner:lower():match("^text/") then tree:add(f.text, body) end
end

local function show_private(tvb, read, tree)
  local message = {}
  local group_at, aad_at, sender_at, text_at
  message.group, group_at = read.vector()
  tree:add(f.group_id, tvb(group_at, #message.group))
  message.epoch = read.number(8)
  tree:add(f.epoch, tvb(read.place - 9, 8), string.format("%.0f", message.epoch))
  message.content_type = read.number(1)
  tree:add(f.content_type, tvb(read.place - 2, 1))
  message.aad, aad_at = read.vector()
  if #message.aad > 0 then tree:add(f.aad, tvb(aad_at, #message.aad)) end
  message.sender_data, sender_at = read.vector()
  tree:add(f.sender_data, tvb(sender_at, #message.sender_data))
  message.ciphertext, text_at = read.vector()
  tree:add(f.ciphertext, tvb(text_at, #message.ciphertext))
  local opened, sender, status = open_message(message)
  tree:add(f.status, status):set_generated()
  if sender then
    tree:add(f.leaf, sender.leaf):set_generated()
    tree:add(f.generation, sender.generation):set_generated()
  end
  if opened and message.content_type == 1 then show_payload(opened, tree) end
end

local function show_mls(tvb, tree)
  local read = reader(tvb:raw())
  if read.number(2) ~= 1 then error("not MLS 1.0", 0) end
  local format = read.number(2)
  tree:add(f.wire_format, tvb(2, 2))
  if format == 2 then show_private(tvb, read, tree) else tree:add(f.body, tvb(4)) end
end

-- ------------------------------------------------------------------------------------------------------- dissectors

local media_types = DissectorTable.get("media_type")

local function guarded(show, tvb, tree)
  local is_good, why = pcall(show, tvb, tree)
  if not is_good then tree:add(f.status, "no: " .. tostring(why)):set_generated() end
end

function proto.dissector(tvb, pinfo, tree)
  local branch = tree:add(proto, tvb())
  guarded(show_mls, tvb, branch)
  return tvb:len()
end

local control = Proto("rcc16_control", "RCC.16 control message")
local control_body = ProtoField.bytes("rcc16_control.body", "Body")
control.fields = { control_body }

function control.dissector(tvb, pinfo, tree)
  tree:add(control, tvb()):add(control_body, tvb())
  return tvb:len()
end

local cpim = Proto("rcc16_cpim", "Common Presence and Instant Messaging (RFC 3862)")

local function show_cpim(tvb, pinfo, branch, tree)
  local text = tvb:raw()
  local _, head_end = text:find("\r\n\r\n", 1, true)
  if not head_end then return end
  for line in text:sub(1, head_end):gmatch("([^\r\n]+)\r\n") do branch:add(f.header, line) end
  local _, mime_end = text:find("\r\n\r\n", head_end + 1, true)
  if not mime_end then return end
  local mime = text:sub(head_end + 1, mime_end)
  for line in mime:gmatch("([^\r\n]+)\r\n") do branch:add(f.header, line) end
  local media_type = mime:match("[Cc]ontent%-[Tt]ype:%s*([^;%s]+)")
  if media_type and mime_end < #text then
    media_types:try(media_type:lower(), tvb(mime_end):tvb(), pinfo, tree)
  end
end

function cpim.dissector(tvb, pinfo, tree)
  show_cpim(tvb, pinfo, tree:add(cpim, tvb()), tree)
  return tvb:len()
end

media_types:add("message/cpim", cpim)
media_types:add("message/mls", proto)
for _, name in ipairs({ "mls-rcs", "mls-rcs-client", "mls-rcs-server" }) do media_types:add("message/" .. name, control) end
