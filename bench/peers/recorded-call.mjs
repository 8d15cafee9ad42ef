// A recorded call in TypeScript's usual parts, for `cargo xtask bench recorded-call`.
//
//   node recorded-call.mjs DIRECTORY DATABASE_URL PORT KEY
//
// DIRECTORY holds the installed packages. The same job as the hub's: find out whose key it is (hashed,
// looked up, remembered for five seconds), look the operation up, check the caller's scope, validate the
// input, store the call as running, run it, validate the output, store the end, answer. The table and its
// indexes are those of the hub; who called is stored with the same scopes, the answer has the same fields and
// length, and as in the hub the output of this operation is not stored, only that there was one.

import { createHash, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";

const [directory, url, port, key] = process.argv.slice(2);
const require = createRequire(join(directory, "package.json"));
const { Hono } = require("hono");
const { serve } = require("@hono/node-server");
const Ajv = require("ajv/dist/2020").default;
const { drizzle } = require("drizzle-orm/node-postgres");
const { eq, sql } = require("drizzle-orm");
const { pgTable, text, jsonb, timestamp } = require("drizzle-orm/pg-core");
const { Pool } = require("pg");

const keys = pgTable("api_keys", {
  id: text("id").primaryKey(),
  hash: text("hash").notNull(),
  account: text("account_id").notNull(),
  scopes: jsonb("scopes").notNull(),
});
const calls = pgTable("call_graph_nodes", {
  id: text("id").primaryKey(),
  requestId: text("request_id").notNull(),
  operationId: text("operation_id").notNull(),
  parentRequestId: text("parent_request_id"),
  identity: jsonb("identity"),
  callerAccountId: text("caller_account_id"),
  status: text("status").notNull(),
  input: jsonb("input"),
  output: jsonb("output"),
  error: jsonb("error"),
  startedAt: timestamp("started_at", { withTimezone: true }),
  completedAt: timestamp("completed_at", { withTimezone: true }),
  metadata: jsonb("metadata"),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
});

const pool = new Pool({ connectionString: url, max: 16 });
const database = drizzle(pool);
const hashOf = (value) => createHash("sha256").update(value).digest("hex");

await database.execute(sql.raw(`
  create table operations (id text primary key, name text not null unique);
  create table api_keys (id text primary key, hash text not null unique, account_id text not null, scopes jsonb not null);
  create table call_graph_nodes (
    id text primary key, request_id text not null, operation_id text not null references operations (id),
    parent_request_id text, identity jsonb, caller_account_id text, status text not null default 'pending',
    input jsonb, output jsonb, error jsonb, started_at timestamptz, completed_at timestamptz,
    metadata jsonb default '{}', created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
    check (status in ('pending', 'running', 'completed', 'failed', 'aborted')));
  create unique index calls_request_id on call_graph_nodes (request_id);
  create index calls_operation_id on call_graph_nodes (operation_id);
  create index calls_status on call_graph_nodes (status);
  create index calls_caller on call_graph_nodes (caller_account_id);
  create index calls_created_at on call_graph_nodes (created_at);
  create index calls_operation_created on call_graph_nodes (operation_id, created_at);
  create index calls_started_at on call_graph_nodes (started_at);
  insert into operations values ('op-1', 'hub.whoami');
`));
const scopes = (
  "account:admin account:read audit:admin audit:read budget:write call:abort call:admin call:read client:call client:read client:write " +
  "coord:abort coord:message coord:read coord:spawn hub:admin hub:read key:write operation:admin org:read org:write project:admin " +
  "project:read project:write role:read role:write session:admin session:read session:write spoke:admin spoke:call spoke:read " +
  "spoke:register spoke:write task:read task:status task:write usage:read"
).split(" ");
await database.insert(keys).values({ id: randomUUID(), hash: hashOf(key), account: randomUUID(), scopes });

const uuid = { type: "string", pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" };
const moment = { type: "string", pattern: "^\\d{4}-\\d{2}-\\d{2}T" };
const text256 = { type: "string", maxLength: 256 };
const optional = { type: ["string", "null"] };
const ajv = new Ajv();
const registry = new Map([
  [
    "hub.whoami",
    {
      row: "op-1",
      scopes: [],
      input: ajv.compile({ type: "object", properties: {}, additionalProperties: false }),
      output: ajv.compile({
        type: "object",
        properties: {
          account: {
            type: "object",
            properties: {
              accessLevel: { enum: ["admin", "user"] }, createdAt: moment, data: { type: ["object", "null"] }, displayName: text256,
              email: text256, giteaUsername: optional, id: uuid, metadata: { type: "object" }, status: { enum: ["active", "suspended"] },
              updatedAt: moment,
            },
            required: ["accessLevel", "createdAt", "data", "displayName", "email", "giteaUsername", "id", "metadata", "status", "updatedAt"],
          },
          effectiveScopes: { type: "array", items: text256 },
          key: {
            type: "object",
            properties: {
              createdAt: moment, description: optional, enabled: { type: "boolean" }, expiresAt: optional, id: uuid, keyPrefix: text256,
              lastUsedAt: optional, metadata: { type: "object" }, name: text256, ownerId: uuid, resources: { type: "object" },
              revokedAt: optional, rotatedToId: optional, scopes: { type: "array", items: text256 }, updatedAt: moment,
            },
            required: ["createdAt", "enabled", "id", "keyPrefix", "metadata", "name", "ownerId", "resources", "scopes", "updatedAt"],
          },
          orgs: { type: "array", items: { type: "object" } },
        },
        required: ["account", "effectiveScopes", "key", "orgs"],
      }),
      run: async (identity) => ({
        account: {
          accessLevel: "admin", createdAt: identity.at, data: null, displayName: "Administrator", email: "admin@localhost",
          giteaUsername: null, id: identity.account, metadata: {}, status: "active", updatedAt: identity.at,
        },
        effectiveScopes: identity.scopes,
        key: {
          createdAt: identity.at, description: null, enabled: true, expiresAt: null, id: identity.id, keyPrefix: "alk_01234567",
          lastUsedAt: null, metadata: {}, name: "first key", ownerId: identity.account, resources: {}, revokedAt: null, rotatedToId: null,
          scopes: ["*"], updatedAt: identity.at,
        },
        orgs: [],
      }),
    },
  ],
]);

const instance = randomUUID();
const remembered = new Map();
async function identify(header) {
  const hash = hashOf(header?.replace(/^Bearer /, "") ?? "");
  const known = remembered.get(hash);
  if (known && known.until > Date.now()) return known.identity;
  const [identity] = await database.select().from(keys).where(eq(keys.hash, hash));
  if (identity) identity.at = new Date().toISOString();
  if (identity) remembered.set(hash, { identity, until: Date.now() + 5_000 });
  return identity;
}

const app = new Hono();
app.get("/readyz", (context) => context.text("ok"));
app.post("/v1/call/:operation", async (context) => {
  const identity = await identify(context.req.header("authorization"));
  if (!identity) return context.json({ code: "UNAUTHENTICATED" }, 401);
  const operation = registry.get(context.req.param("operation"));
  if (!operation) return context.json({ code: "NOT_FOUND" }, 404);
  if (!operation.scopes.every((scope) => identity.scopes.includes(scope))) return context.json({ code: "FORBIDDEN" }, 403);
  const input = await context.req.json();
  if (!operation.input(input)) return context.json({ code: "VALIDATION_ERROR" }, 400);
  const requestId = randomUUID();
  const startedAt = new Date();
  await database.insert(calls).values({
    id: randomUUID(), requestId, operationId: operation.row, callerAccountId: identity.account, status: "running",
    identity: { id: identity.id, scopes: identity.scopes }, input: { bytes: 2, $omitted: true }, startedAt, createdAt: startedAt, metadata: { hub: { id: instance, start: 1 }, policy: "metadata" },
  });
  const output = await operation.run(identity);
  if (!operation.output(output)) return context.json({ code: "INTERNAL" }, 500);
  const completedAt = new Date();
  await database.update(calls).set({ status: "completed", output: { bytes: 1211, $omitted: true }, completedAt, updatedAt: completedAt }).where(eq(calls.requestId, requestId));
  return context.json({ data: output, meta: { source: "local", requestId, durationMs: completedAt - startedAt } });
});
serve({ fetch: app.fetch, port: Number(port), hostname: "127.0.0.1" });
