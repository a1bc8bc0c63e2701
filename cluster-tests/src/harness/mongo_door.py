"""What the server of mongo.rs lacks, before it: TLS, and a login by SCRAM-SHA-256 (RFC 7677).

`mongo_door.py PORT BEHIND CERTIFICATE KEY ROLE USER PASSWORD`. The user is known to the database
`admin`; one whose role is `secondary` says that it is that, of the replica set `rs0`.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import struct
import sys

import bson

port, behind, certificate, key, role, user, password = sys.argv[1:]
salt, rounds = os.urandom(16), 4096
salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


def keyed(secret, text):
    return hmac.new(secret, text, "sha256").digest()


SECONDARY = {
    "ok": 1,
    "isWritablePrimary": False,
    "secondary": True,
    "setName": "rs0",
    "hosts": ["primary.example.org:27017"],
    "primary": "primary.example.org:27017",
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 16777216,
    "maxMessageSizeBytes": 48000000,
    "maxWriteBatchSize": 100000,
}


class Refused(Exception):
    pass


class Login:
    """One connection's."""

    def __init__(self):
        self.said = self.nonce = self.done = None

    def start(self, payload, database, mechanism):
        bare = payload.decode().removeprefix("n,,")
        name, nonce = bare.split(",")
        if mechanism != "SCRAM-SHA-256" or database != "admin" or name != f"n={user}":
            raise Refused
        self.nonce = nonce + base64.b64encode(os.urandom(12)).decode()
        answer = f"{self.nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        self.said = f"{bare},{answer}"
        return answer.encode(), False

    def go_on(self, payload):
        claim, proof = payload.decode().rsplit(",p=", 1)
        text = f"{self.said},{claim}".encode()
        stored = hashlib.sha256(keyed(salted, b"Client Key")).digest()
        mask = keyed(stored, text)
        shown = bytes(a ^ b for a, b in zip(base64.b64decode(proof), mask))
        if claim.split(",")[1] != self.nonce or hashlib.sha256(shown).digest() != stored:
            raise Refused
        self.done = True
        signed = keyed(keyed(salted, b"Server Key"), text)
        return b"v=" + base64.b64encode(signed), True

    def answer(self, command):
        """What a command is answered; none: it is led on."""
        try:
            if "saslStart" in command:
                parts = command["payload"], command["$db"], command["mechanism"]
                payload, done = self.start(*parts)
            elif "saslContinue" in command:
                payload, done = self.go_on(command["payload"])
            elif next(iter(command)).lower() in ("hello", "ismaster"):
                return SECONDARY if role == "secondary" else None
            elif self.done:
                return None
            else:
                return {"ok": 0, "code": 13, "codeName": "Unauthorized", "errmsg": "log in first"}
        except Refused:
            told = {"codeName": "AuthenticationFailed", "errmsg": "Authentication failed."}
            return {"ok": 0, "code": 18, **told}
        return {"ok": 1, "conversationId": 1, "done": done, "payload": payload}


async def message(reader):
    head = await reader.readexactly(16)
    return head + await reader.readexactly(struct.unpack("<i", head[:4])[0] - 16)


def command_of(asked):
    """The document of an OP_MSG; none: it is of an older kind, such as a first hello."""
    if struct.unpack("<i", asked[12:16])[0] != 2013:
        return None
    size = struct.unpack("<i", asked[21:25])[0]
    return bson.decode(asked[21 : 21 + size])


async def serve(reader, writer):
    login = Login()
    inside, outside = await asyncio.open_connection("127.0.0.1", int(behind))
    try:
        while True:
            asked = await message(reader)
            command = command_of(asked)
            answer = login.answer(command) if command is not None else None
            if answer is None:
                outside.write(asked)
                writer.write(await message(inside))
            else:
                body = struct.pack("<iB", 0, 0) + bson.encode(answer)
                to = struct.unpack("<i", asked[4:8])[0]
                writer.write(struct.pack("<iiii", 16 + len(body), 1, to, 2013) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        outside.close()
        writer.close()


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", int(port), ssl=context)
    async with server:
        await server.serve_forever()


asyncio.run(main())
