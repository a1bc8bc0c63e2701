// A small OpenID Connect provider on loopback: real HTTP, real signatures, one user.

import { createHash, createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

const text = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export class Provider {
  user = { sub: "1", preferred_username: "olga", groups: ["ops"] };
  granted = new Map();

  async start() {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.key = privateKey;
    this.shown = { ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "RS256" };
    this.server = createServer((request, response) => void this.answer(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.issuer = `http://127.0.0.1:${this.server.address().port}`;
  }

  end() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async answer(request, response) {
    const url = new URL(request.url, this.issuer);
    const json = (value) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    if (url.pathname === "/.well-known/openid-configuration") {
      const at = (path) => this.issuer + path;
      return json({ issuer: this.issuer, authorization_endpoint: at("/authorize"), token_endpoint: at("/token"), jwks_uri: at("/keys"), response_types_supported: ["code"], token_endpoint_auth_methods_supported: ["none"] });
    }
    if (url.pathname === "/keys") return json({ keys: [this.shown] });
    if (url.pathname === "/authorize") {
      const code = `code-${this.granted.size}`;
      this.granted.set(code, Object.fromEntries(url.searchParams));
      const back = new URL(url.searchParams.get("redirect_uri"));
      back.searchParams.set("code", code);
      back.searchParams.set("state", url.searchParams.get("state"));
      return response.writeHead(302, { location: back.href }).end();
    }
    let body = "";
    for await (const piece of request) body += piece;
    const sent = new URLSearchParams(body);
    const asked = this.granted.get(sent.get("code"));
    this.granted.delete(sent.get("code"));
    const proof = createHash("sha256").update(sent.get("code_verifier") ?? "").digest("base64url");
    if (!asked || proof !== asked.code_challenge) return response.writeHead(400).end("{}");
    const now = Math.floor(Date.now() / 1000);
    const claims = { ...this.user, iss: this.issuer, aud: asked.client_id, nonce: asked.nonce, iat: now, exp: now + 300 };
    const signed = `${text({ alg: "RS256", kid: "k1" })}.${text(claims)}`;
    const signature = createSign("RSA-SHA256").update(signed).sign(this.key).toString("base64url");
    json({ id_token: `${signed}.${signature}`, access_token: "at", token_type: "Bearer" });
  }
}
