//! The texts of the batches. Each is the same for every size of a batch.
//!
//! What may still change is said by the states it is not in: a list of states that it is in would let the
//! planner walk the index over the status, where every call that ever ran has left its dead entries.

// Null has no place in the driver's arrays; an empty text stands for it, which no column holds.
pub(super) const INSERT_POSTGRES: &str = "
    insert into call_graph_nodes (id, request_id, operation_id, parent_request_id, identity,
        caller_account_id, status, input, output, error, started_at, completed_at, metadata,
        created_at, updated_at)
    select u.id, u.request_id, u.operation_id, nullif(u.parent, ''), nullif(u.identity, '')::jsonb,
        nullif(u.account, ''), u.status, nullif(u.input, '')::jsonb, nullif(u.output, '')::jsonb,
        nullif(u.error, '')::jsonb, nullif(u.started, '')::timestamptz,
        nullif(u.completed, '')::timestamptz, u.metadata::jsonb, u.created,
        coalesce(nullif(u.completed, '')::timestamptz, u.created)
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
        $14::timestamptz[])
        as u(id, request_id, operation_id, parent, identity, account, status, input, output, error,
            started, completed, metadata, created)
    on conflict (request_id) do nothing";

// A key that is absent gives null; JSON's own null stays what it is.
pub(super) const INSERT_SQLITE: &str = "
    insert into call_graph_nodes (id, request_id, operation_id, parent_request_id, identity,
        caller_account_id, status, input, output, error, started_at, completed_at, metadata,
        created_at, updated_at)
    select value ->> 'id', value ->> 'request_id', value ->> 'operation_id',
        value ->> 'parent_request_id', value -> 'identity', value ->> 'caller_account_id',
        value ->> 'status', value -> 'input', value -> 'output', value -> 'error',
        value ->> 'started_at', value ->> 'completed_at', value -> 'metadata',
        value ->> 'created_at', coalesce(value ->> 'completed_at', value ->> 'created_at')
    from json_each($1) where true
    on conflict (request_id) do nothing";

pub(super) const RUNNING_POSTGRES: &str = "
    update call_graph_nodes as n set status = 'running', started_at = u.at, updated_at = u.at
    from unnest($1::text[], $2::timestamptz[]) as u(request_id, at)
    where n.request_id = u.request_id
      and n.status not in ('running', 'completed', 'failed', 'aborted')
    returning n.request_id";

pub(super) const RUNNING_SQLITE: &str = "
    update call_graph_nodes
    set status = 'running', started_at = u.value ->> 'at', updated_at = u.value ->> 'at'
    from json_each($1) u
    where call_graph_nodes.request_id = u.value ->> 'request_id'
      and call_graph_nodes.status not in ('running', 'completed', 'failed', 'aborted')
    returning call_graph_nodes.request_id";

pub(super) const FINISH_POSTGRES: &str = "
    update call_graph_nodes as n
    set status = u.status, output = nullif(u.output, '')::jsonb, error = nullif(u.error, '')::jsonb,
        completed_at = u.completed, updated_at = u.completed,
        metadata = case when u.metadata = '' then n.metadata
            else coalesce(n.metadata, '{}') || u.metadata::jsonb end
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        as u(request_id, status, output, error, completed, metadata)
    where n.request_id = u.request_id and n.status not in ('completed', 'failed', 'aborted')
    returning n.request_id";

pub(super) const EDGES_POSTGRES: &str = "
    insert into call_graph_edges (id, source_id, target_id, edge_type, created_at, updated_at)
    select u.id, s.id, t.id, u.type, u.at, u.at
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        as u(id, source, target, type, at)
    join call_graph_nodes s on s.request_id = u.source
    join call_graph_nodes t on t.request_id = u.target
    on conflict (source_id, target_id, edge_type) do nothing";

pub(super) const EDGES_SQLITE: &str = "
    insert into call_graph_edges (id, source_id, target_id, edge_type, created_at, updated_at)
    select u.value ->> 'id', s.id, t.id, u.value ->> 'type', u.value ->> 'at', u.value ->> 'at'
    from json_each($1) u
    join call_graph_nodes s on s.request_id = u.value ->> 'source'
    join call_graph_nodes t on t.request_id = u.value ->> 'target'
    where true
    on conflict (source_id, target_id, edge_type) do nothing";

pub(super) fn finish_sqlite() -> String {
    format!(
        "update call_graph_nodes
         set status = u.value ->> 'status', output = u.value -> 'output',
             error = u.value -> 'error', completed_at = u.value ->> 'completed_at',
             updated_at = u.value ->> 'completed_at',
             metadata = case when u.value -> 'metadata' is null
                 then call_graph_nodes.metadata else {} end
         from json_each($1) u
         where call_graph_nodes.request_id = u.value ->> 'request_id'
           and call_graph_nodes.status not in ('completed', 'failed', 'aborted')
         returning call_graph_nodes.request_id",
        merged_sqlite("u.value -> 'metadata'")
    )
}

/// The notes of a row with the keys of `patch` in place of earlier ones. Not `json_patch`, which
/// merges deep and takes null for a removal, as PostgreSQL's operator does not.
pub(super) fn merged_sqlite(patch: &str) -> String {
    let value = "case type when 'object' then json(value) when 'array' then json(value)
        when 'true' then json('true') when 'false' then json('false')
        when 'null' then json('null') else value end";
    format!(
        "(select json_group_object(key, {value}) from (
            select key, value, type from json_each(coalesce(call_graph_nodes.metadata, '{{}}'))
            where key not in (select key from json_each({patch}))
            union all select key, value, type from json_each({patch})))"
    )
}
