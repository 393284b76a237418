// A certified OpenID Connect provider with test accounts: node provider.mjs PORT REDIRECT_URI
import Provider from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const accounts = { ann: ["fraud-ops"], root: ["fraud-admins", "other"], nobody: [] };
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { client_id: "rowguard", client_secret: "a-secret-of-the-console", redirect_uris: [redirectUri] },
    { client_id: "public", token_endpoint_auth_method: "none", redirect_uris: [redirectUri] },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username", "realm_access"] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: `id-of-${id}`, preferred_username: id, realm_access: { roles: accounts[id] ?? [] } }),
  }),
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["a-key-of-the-test"] },
  pkce: { required: () => true },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
