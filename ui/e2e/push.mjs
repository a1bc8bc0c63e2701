// A push service and a browser's keys, for tests: what comes is opened as RFC 8291 and RFC 8188 have it, and
// who sent it is verified as RFC 8292 has it, with the cryptography of Node.js.

import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes, verify } from "node:crypto";
import { createServer } from "node:http";

const bytes = (text) => Buffer.from(text, "base64url");

export class PushService {
  constructor() {
    this.keys = createECDH("prime256v1");
    this.keys.generateKeys();
    this.auth = randomBytes(16);
    this.came = [];
    this.faults = [];
  }

  async start() {
    this.server = createServer((request, answer) => {
      const parts = [];
      request.on("data", (part) => parts.push(part));
      request.on("end", () => {
        try {
          this.came.push({ signed: this.verified(request.headers), said: this.opened(Buffer.concat(parts)) });
        } catch (fault) {
          this.faults.push(fault);
        }
        answer.writeHead(201).end();
      });
    });
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    this.origin = `http://127.0.0.1:${this.server.address().port}`;
  }

  end() {
    this.server.close();
  }

  /** What a browser would give a page. */
  subscription() {
    return { endpoint: `${this.origin}/push/this-browser`, keys: { p256dh: this.keys.getPublicKey("base64url"), auth: this.auth.toString("base64url") } };
  }

  verified(headers) {
    const [, token, key] = /^vapid t=([^,]+), k=(.+)$/.exec(headers.authorization);
    const [head, claims, signature] = token.split(".");
    const point = bytes(key);
    const jwk = { kty: "EC", crv: "P-256", x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") };
    const good = verify("sha256", Buffer.from(`${head}.${claims}`), { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" }, bytes(signature));
    if (!good) throw new Error("the signature is wrong");
    const said = JSON.parse(bytes(claims));
    if (said.aud !== this.origin || said.exp < Date.now() / 1000) throw new Error(`signed for ${JSON.stringify(said)}`);
    return { ...said, key };
  }

  opened(body) {
    const salt = body.subarray(0, 16);
    const length = body[20];
    const sender = body.subarray(21, 21 + length);
    const shared = this.keys.computeSecret(sender);
    const info = Buffer.concat([Buffer.from("WebPush: info\0"), this.keys.getPublicKey(), sender]);
    const secret = Buffer.from(hkdfSync("sha256", shared, this.auth, info, 32));
    const key = Buffer.from(hkdfSync("sha256", secret, salt, Buffer.from("Content-Encoding: aes128gcm\0"), 16));
    const nonce = Buffer.from(hkdfSync("sha256", secret, salt, Buffer.from("Content-Encoding: nonce\0"), 12));
    const sealed = body.subarray(21 + length);
    const open = createDecipheriv("aes-128-gcm", key, nonce);
    open.setAuthTag(sealed.subarray(-16));
    const padded = Buffer.concat([open.update(sealed.subarray(0, -16)), open.final()]);
    return JSON.parse(padded.subarray(0, padded.lastIndexOf(2)));
  }
}
