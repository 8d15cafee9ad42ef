-- The first schema on PostgreSQL 14 and up: 22 tables, 37 foreign keys, 87 indexes.
--
-- The file is frozen once released: the hub refuses to start on a data base that was migrated with
-- another text. It runs inside one transaction of the migration runner. The SQLite file of the same
-- number says the same; what differs between the engines is listed in docs and checked by tests.
--
-- Names: fk_<table>_<column>, chk_<table>_<column>, trg_<table>_<what>. Objects with the prefix
-- hub_ are the hub's own and lie outside the 22 tables. Triggers refuse with the message
-- alkhub:immutable:<table>.<column> or alkhub:rule:<name>, which the storage crate turns into errors.

-- 1. Tables and their indexes
--
-- Every table has id, metadata, created_at and updated_at. Ids come from the code, never from the
-- data base. Enums are text with a check: a new value must not need "alter type".

-- Identities of people and of machines. Addresses are stored trimmed and in lower case, so that no two
-- accounts are twins.
create table accounts (
    id text not null primary key,
    email text not null,
    display_name text,
    access_level text not null default 'user',
    status text not null default 'active',
    gitea_username text,
    data jsonb,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_accounts_email check (email <> ''),
    constraint chk_accounts_access_level check (access_level in ('admin', 'user', 'service')),
    constraint chk_accounts_status check (status in ('active', 'suspended', 'deactivated')),
    constraint chk_accounts_metadata check (metadata is null or jsonb_typeof(metadata) = 'object')
);

create unique index unq_accounts_email on accounts (email);
create index idx_accounts_gitea_username on accounts (gitea_username);
create index idx_accounts_display_name on accounts (display_name);

-- The owner changes only by a transfer; trg_organization_members_owner_* keep the owner a member.
create table organizations (
    id text not null primary key,
    name text not null,
    slug text not null,
    owner_id text not null,
    gitea_org_name text,
    data jsonb,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_organizations_name check (name <> ''),
    constraint chk_organizations_slug check (slug ~ '^[a-z0-9-]+$'),
    constraint chk_organizations_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_organizations_owner_id foreign key (owner_id) references accounts (id) on delete restrict
);

create unique index unq_organizations_name on organizations (name);
create unique index unq_organizations_slug on organizations (slug);
create index idx_organizations_owner_id on organizations (owner_id);
create index idx_organizations_gitea_org_name on organizations (gitea_org_name);

-- Who belongs to which organization.
create table organization_members (
    id text not null primary key,
    org_id text not null,
    account_id text not null,
    membership_level text not null default 'member',
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_organization_members_membership_level check (membership_level in ('owner', 'admin', 'member')),
    constraint chk_organization_members_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_organization_members_org_id foreign key (org_id) references organizations (id) on delete cascade,
    constraint fk_organization_members_account_id foreign key (account_id) references accounts (id) on delete cascade
);

create unique index unq_org_members_org_account on organization_members (org_id, account_id);
create index idx_org_members_account_id on organization_members (account_id);
create index idx_org_members_org_id on organization_members (org_id);

-- Only a SHA-256 hash is kept: keys are random with at least 128 bits, a slow hash would cost every
-- request.
create table api_keys (
    id text not null primary key,
    owner_id text not null,
    name text,
    description text,
    key_hash text not null,
    key_prefix text not null,
    scopes jsonb not null default '[]',
    resources jsonb not null default '{}',
    enabled boolean not null default true,
    expires_at timestamptz,
    revoked_at timestamptz,
    rotated_to_id text,
    last_used_at timestamptz,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_api_keys_name check (name <> ''),
    constraint chk_api_keys_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_api_keys_owner_id foreign key (owner_id) references accounts (id) on delete cascade,
    constraint fk_api_keys_rotated_to_id foreign key (rotated_to_id) references api_keys (id) on delete set null
);

create index idx_api_keys_owner_id on api_keys (owner_id);
create unique index unq_api_keys_key_hash on api_keys (key_hash);
create index idx_api_keys_enabled on api_keys (enabled);
create index idx_api_keys_active on api_keys (owner_id) where revoked_at is null and enabled = true;

-- Without an organization a project is personal; metadata.ownerId says whose.
create table projects (
    id text not null primary key,
    org_id text,
    name text not null,
    directory text,
    repo_url text,
    vcs text default 'git',
    icon_url text,
    icon_color text,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_projects_name check (name <> ''),
    constraint chk_projects_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_projects_org_id foreign key (org_id) references organizations (id) on delete set null
);

create index idx_projects_org_id on projects (org_id);

-- A branch, directory or execution place of a project.
create table workspaces (
    id text not null primary key,
    project_id text not null,
    "type" text not null default 'local',
    branch text,
    name text,
    directory text,
    extra jsonb,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_workspaces_type check ("type" in ('local', 'remote', 'container')),
    constraint chk_workspaces_name check (name <> ''),
    constraint chk_workspaces_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_workspaces_project_id foreign key (project_id) references projects (id) on delete cascade
);

create index idx_workspaces_project_id on workspaces (project_id);

-- role_name is free text on purpose: roles may come from files before they are rows.
create table sessions (
    id text not null primary key,
    account_id text,
    project_id text not null,
    workspace_id text,
    parent_id text,
    slug text not null,
    title text not null,
    status text not null default 'idle',
    version text not null default '1',
    role_name text,
    data jsonb,
    archived_at timestamptz,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_sessions_slug check (slug <> ''),
    constraint chk_sessions_status check (status in ('idle', 'busy', 'retry', 'archived')),
    constraint chk_sessions_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_sessions_account_id foreign key (account_id) references accounts (id) on delete set null,
    constraint fk_sessions_project_id foreign key (project_id) references projects (id) on delete cascade,
    constraint fk_sessions_workspace_id foreign key (workspace_id) references workspaces (id) on delete set null,
    constraint fk_sessions_parent_id foreign key (parent_id) references sessions (id) on delete set null
);

create index idx_sessions_project_id on sessions (project_id);
create index idx_sessions_workspace_id on sessions (workspace_id);
create index idx_sessions_status on sessions (status);
create index idx_sessions_active on sessions (status) where status in ('idle', 'busy', 'retry');
create index idx_sessions_account_id on sessions (account_id);
create index idx_sessions_role_name on sessions (role_name);
create unique index unq_sessions_slug on sessions (slug);
create index idx_sessions_parent_id on sessions (parent_id);
-- A page of a project's sessions is read from its beginning, however many the project has.
create index hub_idx_sessions_page on sessions (project_id, created_at, id);

-- Ordered by (created_at, id); the code keeps created_at strictly rising within a session.
create table messages (
    id text not null primary key,
    session_id text not null,
    role text not null,
    data jsonb not null,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_messages_role check (role in ('user', 'assistant', 'system')),
    constraint chk_messages_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_messages_session_id foreign key (session_id) references sessions (id) on delete cascade
);

create index idx_messages_session_id_created_at_id on messages (session_id, created_at, id);

-- Ids are UUIDv7, so the order of ids is the order of creation within a message.
create table parts (
    id text not null primary key,
    message_id text not null,
    session_id text not null,
    "type" text not null,
    data jsonb not null,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_parts_type check ("type" in ('text', 'reasoning', 'file', 'tool-call', 'step-start', 'step-finish', 'snapshot', 'patch', 'agent', 'compaction', 'retry', 'source', 'notice')),
    constraint chk_parts_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_parts_message_id foreign key (message_id) references messages (id) on delete cascade,
    constraint fk_parts_session_id foreign key (session_id) references sessions (id) on delete cascade
);

create index part_session_idx on parts (session_id);
create index part_message_id_id_idx on parts (message_id, id);
create index idx_parts_session_id_type on parts (session_id, "type");

-- A reconnect reuses the row.
create table spokes (
    id text not null primary key,
    name text not null,
    status text not null default 'connected',
    spoke_type text not null default 'custom',
    project_id text,
    last_heartbeat timestamptz,
    host_info jsonb,
    connected_at timestamptz,
    disconnected_at timestamptz,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_spokes_name check (name <> ''),
    constraint chk_spokes_status check (status in ('connected', 'disconnected')),
    constraint chk_spokes_spoke_type check (spoke_type in ('dev-env', 'client', 'compute', 'custom')),
    constraint chk_spokes_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_spokes_project_id foreign key (project_id) references projects (id) on delete set null
);

create index idx_spokes_project_id on spokes (project_id);
create index idx_spokes_status on spokes (status);
create index idx_spokes_active on spokes (id) where status = 'connected';
create index idx_spokes_name on spokes (name);

-- Definitions, independent of who provides them. One row a name: a higher version replaces it.
create table operations (
    id text not null primary key,
    namespace text not null,
    name text not null,
    version text not null,
    "type" text not null,
    title text,
    description text not null,
    tags jsonb not null default '[]',
    input_schema jsonb not null,
    output_schema jsonb not null,
    error_schemas jsonb not null default '[]',
    access_control jsonb not null,
    _meta jsonb,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_operations_name check (name <> ''),
    constraint chk_operations_type check ("type" in ('query', 'mutation', 'subscription')),
    constraint chk_operations_metadata check (metadata is null or jsonb_typeof(metadata) = 'object')
);

create unique index unq_operations_namespace_name on operations (namespace, name);
create index idx_operations_namespace on operations (namespace);
create index idx_operations_type on operations ("type");

-- Who offers an operation now. provider_id names a row of spokes or clients, so no foreign key fits;
-- triggers keep it true.
create table operation_registrations (
    id text not null primary key,
    operation_id text not null,
    provider_type text not null,
    provider_id text not null,
    status text not null default 'active',
    pre_remap_namespace text,
    pre_remap_name text,
    registered_at timestamptz not null default now(),
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_operation_registrations_provider_type check (provider_type in ('spoke', 'client')),
    constraint chk_operation_registrations_status check (status in ('active', 'inactive')),
    constraint chk_operation_registrations_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_operation_registrations_operation_id foreign key (operation_id) references operations (id) on delete cascade
);

create unique index unq_operation_registrations_active on operation_registrations (operation_id, provider_type, provider_id) where status = 'active';
create index idx_operation_registrations_operation_id on operation_registrations (operation_id);
create index idx_operation_registrations_provider_id on operation_registrations (provider_id);
create index idx_operation_registrations_status on operation_registrations (status);

-- Services the hub calls. Never a credential in this table.
create table clients (
    id text not null primary key,
    name text not null,
    "type" text not null,
    config jsonb not null,
    enabled boolean not null default true,
    owner_id text not null,
    org_id text,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_clients_name check (name <> ''),
    constraint chk_clients_type check ("type" in ('llm-provider', 'vcs', 'compute', 'mcp-server', 'custom')),
    constraint chk_clients_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_clients_owner_id foreign key (owner_id) references accounts (id) on delete restrict,
    constraint fk_clients_org_id foreign key (org_id) references organizations (id) on delete set null
);

create unique index unq_clients_name on clients (name);
create index idx_clients_type on clients ("type");
create index idx_clients_owner_id on clients (owner_id);
create index idx_clients_org_id on clients (org_id);

-- Encrypted values only.
create table client_secrets (
    id text not null primary key,
    client_id text not null,
    "key" text not null,
    "value" jsonb not null,
    expires_at timestamptz,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_client_secrets_key check ("key" <> ''),
    constraint chk_client_secrets_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_client_secrets_client_id foreign key (client_id) references clients (id) on delete cascade
);

create unique index unq_client_secrets_client_key on client_secrets (client_id, "key");
create index idx_client_secrets_expires_at on client_secrets (expires_at);

-- sessions.role_name refers to the name by text.
create table roles (
    id text not null primary key,
    name text not null,
    description text,
    mode text not null,
    temperature real,
    permissions jsonb not null default '[]',
    tools jsonb not null default '{}',
    prompt text,
    parent_id text,
    scopes jsonb not null default '[]',
    data jsonb,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_roles_name check (name <> ''),
    constraint chk_roles_mode check (mode in ('primary', 'subagent')),
    constraint chk_roles_temperature check (temperature between 0 and 2),
    constraint chk_roles_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_roles_parent_id foreign key (parent_id) references roles (id) on delete set null
);

create unique index unq_roles_name on roles (name);
create index idx_roles_parent_id on roles (parent_id);
create index idx_roles_mode on roles (mode);

-- Authored columns come from files and operations; status, started_at and completed_at are written at
-- run time only.
create table tasks (
    id text not null primary key,
    project_id text not null,
    slug text not null,
    name text not null,
    path text,
    status text not null default 'pending',
    scope text,
    risk text,
    impact text,
    level text,
    priority text,
    tags jsonb not null default '[]',
    assignee text,
    due_at timestamptz,
    body text,
    file_created_at timestamptz,
    file_modified_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_tasks_slug check (slug <> ''),
    constraint chk_tasks_name check (name <> ''),
    constraint chk_tasks_status check (status in ('pending', 'in-progress', 'completed', 'failed', 'blocked')),
    constraint chk_tasks_scope check (scope in ('single', 'narrow', 'moderate', 'broad', 'system')),
    constraint chk_tasks_risk check (risk in ('trivial', 'low', 'medium', 'high', 'critical')),
    constraint chk_tasks_impact check (impact in ('isolated', 'component', 'phase', 'project')),
    constraint chk_tasks_level check (level in ('planning', 'decomposition', 'implementation', 'review', 'research')),
    constraint chk_tasks_priority check (priority in ('low', 'medium', 'high', 'critical')),
    constraint chk_tasks_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_tasks_project_id foreign key (project_id) references projects (id) on delete cascade
);

create unique index unq_tasks_project_slug on tasks (project_id, slug);
create index idx_tasks_project_id on tasks (project_id);
create index idx_tasks_project_status on tasks (project_id, status);
create index idx_tasks_status on tasks (status);
create index idx_tasks_active on tasks (project_id, status) where status in ('pending', 'in-progress', 'blocked');
create index idx_tasks_path on tasks (path text_pattern_ops);
create index idx_tasks_priority on tasks (priority);
create index idx_tasks_assignee on tasks (assignee);
create index idx_tasks_due_at on tasks (due_at);
-- The order of a page of the project's tasks. The status comes along so that tasks of another one are passed
-- over without their rows.
create index hub_idx_tasks_page on tasks (project_id, created_at, id, status);
create index idx_tasks_tags on tasks using gin (tags);

-- Edges run from the prerequisite to the dependent.
create table task_dependencies (
    id text not null primary key,
    depends_on_task_id text not null,
    dependent_task_id text not null,
    quality_retention double precision,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_task_dependencies_dependent_task_id check (dependent_task_id <> depends_on_task_id),
    constraint chk_task_dependencies_quality_retention check (quality_retention between 0 and 1),
    constraint chk_task_dependencies_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_task_dependencies_depends_on_task_id foreign key (depends_on_task_id) references tasks (id) on delete cascade,
    constraint fk_task_dependencies_dependent_task_id foreign key (dependent_task_id) references tasks (id) on delete cascade
);

create unique index unq_task_dependencies_depends_on_task on task_dependencies (depends_on_task_id, dependent_task_id);
create index idx_task_dependencies_depends_on_task_id on task_dependencies (depends_on_task_id);
create index idx_task_dependencies_dependent_task_id on task_dependencies (dependent_task_id);

-- A spawned session, who spawned it, where it runs, for which task. A new try is a new row.
create table mappings (
    id text not null primary key,
    session_id text not null,
    spoke_id text,
    workspace_id text,
    parent_session_id text,
    task_id text,
    task text,
    status text not null default 'active',
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_mappings_status check (status in ('active', 'completed', 'aborted', 'failed')),
    constraint chk_mappings_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_mappings_session_id foreign key (session_id) references sessions (id) on delete cascade,
    constraint fk_mappings_spoke_id foreign key (spoke_id) references spokes (id) on delete set null,
    constraint fk_mappings_workspace_id foreign key (workspace_id) references workspaces (id) on delete set null,
    constraint fk_mappings_parent_session_id foreign key (parent_session_id) references sessions (id) on delete set null,
    constraint fk_mappings_task_id foreign key (task_id) references tasks (id) on delete set null
);

create index idx_mappings_session_id on mappings (session_id);
create index idx_mappings_parent_session_id on mappings (parent_session_id);
create index idx_mappings_spoke_id on mappings (spoke_id);
create index idx_mappings_task_id on mappings (task_id);
create index idx_mappings_workspace_id on mappings (workspace_id);

-- Anomalies seen in a session. anomaly_type has no check: types grow, the code knows them.
create table detections (
    id text not null primary key,
    session_id text not null,
    anomaly_type text not null,
    severity text not null default 'medium',
    details jsonb not null default '{}',
    dedup_key text,
    resolved_at timestamptz,
    resolved_by text,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_detections_severity check (severity in ('low', 'medium', 'high')),
    constraint chk_detections_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_detections_session_id foreign key (session_id) references sessions (id) on delete cascade,
    constraint fk_detections_resolved_by foreign key (resolved_by) references accounts (id) on delete set null
);

create index idx_detections_session_id on detections (session_id);
create index idx_detections_anomaly_type on detections (anomaly_type);
create index idx_detections_resolved_at on detections (resolved_at);
create index idx_detections_dedup_key on detections (dedup_key);

-- caller_account_id and parent_request_id have no foreign key: the hot path saves the look-ups.
create table call_graph_nodes (
    id text not null primary key,
    request_id text not null,
    operation_id text not null,
    parent_request_id text,
    identity jsonb,
    caller_account_id text,
    status text not null default 'pending',
    input jsonb,
    output jsonb,
    error jsonb,
    started_at timestamptz,
    completed_at timestamptz,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_call_graph_nodes_status check (status in ('pending', 'running', 'completed', 'failed', 'aborted')),
    constraint chk_call_graph_nodes_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_call_graph_nodes_operation_id foreign key (operation_id) references operations (id) on delete restrict
);

create unique index idx_call_graph_nodes_request_id on call_graph_nodes (request_id);
create index idx_call_graph_nodes_operation_id on call_graph_nodes (operation_id);
create index idx_call_graph_nodes_status on call_graph_nodes (status);
create index idx_call_graph_nodes_caller_account_id on call_graph_nodes (caller_account_id);
create index idx_call_graph_nodes_created_at on call_graph_nodes (created_at);
create index idx_call_graph_nodes_operation_created on call_graph_nodes (operation_id, created_at);
create index idx_call_graph_nodes_started_at on call_graph_nodes (started_at);

-- Both kinds of edge may stand between the same pair; nothing calls itself.
create table call_graph_edges (
    id text not null primary key,
    source_id text not null,
    target_id text not null,
    edge_type text not null,
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_call_graph_edges_target_id check (target_id <> source_id),
    constraint chk_call_graph_edges_edge_type check (edge_type in ('triggered', 'depends_on')),
    constraint chk_call_graph_edges_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_call_graph_edges_source_id foreign key (source_id) references call_graph_nodes (id) on delete cascade,
    constraint fk_call_graph_edges_target_id foreign key (target_id) references call_graph_nodes (id) on delete cascade
);

create index idx_call_graph_edges_source_id on call_graph_edges (source_id);
create index idx_call_graph_edges_target_id on call_graph_edges (target_id);
create index idx_call_graph_edges_source_id_type on call_graph_edges (source_id, edge_type);
create unique index unq_call_graph_edges_source_target_type on call_graph_edges (source_id, target_id, edge_type);

-- Append-only; see the triggers.
create table audit_logs (
    id text not null primary key,
    owner_id text not null,
    key_id text,
    session_id text,
    org_id text,
    action text not null,
    details jsonb not null default '{}',
    metadata jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chk_audit_logs_metadata check (metadata is null or jsonb_typeof(metadata) = 'object'),
    constraint fk_audit_logs_owner_id foreign key (owner_id) references accounts (id) on delete restrict,
    constraint fk_audit_logs_key_id foreign key (key_id) references api_keys (id) on delete set null,
    constraint fk_audit_logs_session_id foreign key (session_id) references sessions (id) on delete set null,
    constraint fk_audit_logs_org_id foreign key (org_id) references organizations (id) on delete set null
);

create index idx_audit_logs_owner_id on audit_logs (owner_id);
create index idx_audit_logs_key_id on audit_logs (key_id);
create index idx_audit_logs_action on audit_logs (action);
create index idx_audit_logs_created_at on audit_logs (created_at);
create index idx_audit_logs_session_id on audit_logs (session_id);
create index idx_audit_logs_org_id on audit_logs (org_id);

-- 2. The hub's own tables
--
-- No common columns, no triggers, and nothing of the 22 tables refers to them. Those that triggers of the 22
-- fill stand with these triggers (full text, ready tasks).

-- The runner makes this table before it applies the first file.
create table if not exists hub_migrations (
    version integer not null primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
);

-- One row a fact: instances, data keys, leases of jobs, settings, the switch audit.prune.
create table hub_meta (
    "key" text not null primary key,
    "value" jsonb not null,
    updated_at timestamptz not null default now()
);

-- Added to by upserts; '' stands for "none" so that the primary key needs no null. No foreign keys:
-- usage outlives what it was used for.
create table hub_usage (
    day date not null,
    account_id text not null default '',
    key_id text not null default '',
    org_id text not null default '',
    project_id text not null default '',
    session_id text not null default '',
    task_id text not null default '',
    client_id text not null default '',
    model text not null default '',
    requests bigint not null default 0,
    errors bigint not null default 0,
    tokens_input bigint not null default 0,
    tokens_output bigint not null default 0,
    tokens_cached bigint not null default 0,
    tokens_reasoning bigint not null default 0,
    cost_micros bigint not null default 0,
    primary key (day, account_id, key_id, org_id, project_id, session_id, task_id, client_id, model)
);

create table hub_budgets (
    id text not null primary key,
    subject_type text not null,
    subject_id text not null,
    period text not null,
    action text not null,
    limit_cost_micros bigint,
    limit_tokens bigint,
    warn_at double precision not null default 0.8,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index hub_unq_budgets_subject_period on hub_budgets (subject_type, subject_id, period);

-- Pieces of 256 KiB, used where no directory for blobs is configured.
create table hub_blobs (
    sha256 text not null,
    piece integer not null,
    data bytea not null,
    primary key (sha256, piece)
);

-- 3. Full text over parts
--
-- Words must be cut as SQLite's unicode61 cuts them, else the engines answer different sets: lower
-- case, and every run of characters that are neither letters nor digits is one space. The collation
-- is named because the data base's own is not ours to choose; without ICU only ASCII letters count.
do $$
begin
    create collation hub_fold (provider = icu, locale = 'und');
exception when feature_not_supported then
    create collation hub_fold (provider = libc, locale = 'C');
end
$$;

-- What is searched in a part: text, reasoning, a tool's title, string inputs and output, each cut to
-- 64 Ki characters so that one large part cannot exceed the limit of a tsvector. Bodies written with
-- "return" are bound when created, so a restored dump or a narrow search_path cannot break them.
create function hub_fts_text(part_type text, data jsonb) returns text
    language sql immutable parallel safe
    return regexp_replace(lower(case
        when part_type in ('text', 'reasoning') then left(coalesce(data ->> 'text', ''), 65536)
        when part_type = 'tool-call' then concat_ws(' ',
            left(data #>> '{state,title}', 65536),
            left((
                select string_agg(item.content #>> '{}', ' ' order by item.position)
                from jsonb_path_query(
                    data #> '{state,input}', 'strict $.** ? (@.type() == "string")'
                ) with ordinality as item (content, position)
            ), 65536),
            left(data #>> '{state,output}', 65536)
        )
        else ''
    end collate hub_fold), '[^[:alnum:]]+', ' ', 'g');

-- The words as they stand, not through to_tsvector: its parser would cut 3e10x in two, and positions
-- could make one part too large for a tsvector. Phrases are looked up in the text. Words are cut
-- because a lexeme holds 2,046 bytes at most.
create function hub_fts_vector(part_type text, data jsonb) returns tsvector
    language sql immutable parallel safe
    return array_to_tsvector(array(
        select left(word, 500)
        from unnest(string_to_array(hub_fts_text(part_type, data), ' ')) as words (word)
        where word <> ''
    ));

create index hub_fts_parts on parts using gin (hub_fts_vector("type", data))
    where "type" in ('text', 'reasoning', 'tool-call');

-- 4. updated_at
--
-- The code sets it; this is the safety net for hand-written SQL. Never backwards and never the same
-- value twice, because callers compare it to find lost updates.
create function set_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := greatest(
        date_trunc('milliseconds', now()),
        old.updated_at + interval '1 millisecond'
    );
    return new;
end
$$;

create trigger trg_accounts_updated_at before update on accounts
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_organizations_updated_at before update on organizations
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_organization_members_updated_at before update on organization_members
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_api_keys_updated_at before update on api_keys
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_projects_updated_at before update on projects
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_workspaces_updated_at before update on workspaces
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_sessions_updated_at before update on sessions
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_messages_updated_at before update on messages
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_parts_updated_at before update on parts
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_spokes_updated_at before update on spokes
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_operations_updated_at before update on operations
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_operation_registrations_updated_at before update on operation_registrations
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_clients_updated_at before update on clients
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_client_secrets_updated_at before update on client_secrets
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_roles_updated_at before update on roles
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_tasks_updated_at before update on tasks
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_task_dependencies_updated_at before update on task_dependencies
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_mappings_updated_at before update on mappings
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_detections_updated_at before update on detections
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_call_graph_nodes_updated_at before update on call_graph_nodes
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_call_graph_edges_updated_at before update on call_graph_edges
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();
create trigger trg_audit_logs_updated_at before update on audit_logs
    for each row when (new.updated_at = old.updated_at) execute function set_updated_at();

-- 5. Columns that never change
--
-- The when clauses keep the price off the hot path; the function runs only to name the column.
create function hub_refuse_change() returns trigger language plpgsql as $$
declare
    column_name text;
begin
    foreach column_name in array tg_argv loop
        if to_jsonb(new) -> column_name is distinct from to_jsonb(old) -> column_name then
            raise exception 'alkhub:immutable:%.%', tg_table_name, column_name using errcode = 'P0001';
        end if;
    end loop;
    return new;
end
$$;

create trigger trg_accounts_immutable before update of id, created_at on accounts
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_organizations_immutable before update of id, created_at on organizations
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_organization_members_immutable before update of id, created_at on organization_members
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_api_keys_immutable before update of id, created_at, key_hash, owner_id on api_keys
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.key_hash is distinct from old.key_hash
        or new.owner_id is distinct from old.owner_id)
    execute function hub_refuse_change('id', 'created_at', 'key_hash', 'owner_id');
create trigger trg_projects_immutable before update of id, created_at on projects
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_workspaces_immutable before update of id, created_at on workspaces
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_sessions_immutable before update of id, created_at on sessions
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_messages_immutable before update of id, created_at, session_id on messages
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.session_id is distinct from old.session_id)
    execute function hub_refuse_change('id', 'created_at', 'session_id');
create trigger trg_parts_immutable before update of id, created_at, session_id, message_id on parts
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.session_id is distinct from old.session_id
        or new.message_id is distinct from old.message_id)
    execute function hub_refuse_change('id', 'created_at', 'session_id', 'message_id');
create trigger trg_spokes_immutable before update of id, created_at on spokes
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_operations_immutable before update of id, created_at on operations
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_operation_registrations_immutable before update of id, created_at, operation_id, provider_type, provider_id on operation_registrations
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.operation_id is distinct from old.operation_id
        or new.provider_type is distinct from old.provider_type
        or new.provider_id is distinct from old.provider_id)
    execute function hub_refuse_change('id', 'created_at', 'operation_id', 'provider_type', 'provider_id');
create trigger trg_clients_immutable before update of id, created_at on clients
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_client_secrets_immutable before update of id, created_at on client_secrets
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_roles_immutable before update of id, created_at on roles
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_tasks_immutable before update of id, created_at on tasks
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_task_dependencies_immutable before update of id, created_at, depends_on_task_id, dependent_task_id on task_dependencies
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.depends_on_task_id is distinct from old.depends_on_task_id
        or new.dependent_task_id is distinct from old.dependent_task_id)
    execute function hub_refuse_change('id', 'created_at', 'depends_on_task_id', 'dependent_task_id');
create trigger trg_mappings_immutable before update of id, created_at on mappings
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_detections_immutable before update of id, created_at on detections
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at)
    execute function hub_refuse_change('id', 'created_at');
create trigger trg_call_graph_nodes_immutable before update of id, created_at, request_id, operation_id on call_graph_nodes
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.request_id is distinct from old.request_id
        or (new.operation_id is distinct from old.operation_id and new.operation_id <> '__removed__'))
    execute function hub_refuse_change('id', 'created_at', 'request_id', 'operation_id');
create trigger trg_call_graph_edges_immutable before update of id, created_at, source_id, target_id, edge_type on call_graph_edges
    for each row when (new.id is distinct from old.id
        or new.created_at is distinct from old.created_at
        or new.source_id is distinct from old.source_id
        or new.target_id is distinct from old.target_id
        or new.edge_type is distinct from old.edge_type)
    execute function hub_refuse_change('id', 'created_at', 'source_id', 'target_id', 'edge_type');

-- Edges of the task graph are checked on insert only, so a task that has some stays in its project.
create function hub_refuse_project_change() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from task_dependencies
        where depends_on_task_id = old.id or dependent_task_id = old.id
    ) then
        raise exception 'alkhub:immutable:tasks.project_id' using errcode = 'P0001';
    end if;
    return new;
end
$$;

create trigger trg_tasks_project before update of project_id on tasks
    for each row when (new.project_id is distinct from old.project_id)
    execute function hub_refuse_project_change();

-- The audit log is append-only. Exceptions: a foreign key may set its column to null, updated_at may
-- move with it, metadata may gain the key chain once (sealing), and rows may go while the retention
-- job's switch stands in hub_meta (put and removed in the job's own transaction).
create function hub_refuse_audit_update() returns trigger language plpgsql as $$
declare
    column_name text;
begin
    foreach column_name in array array['id', 'created_at', 'owner_id', 'action', 'details'] loop
        if to_jsonb(new) -> column_name is distinct from to_jsonb(old) -> column_name then
            raise exception 'alkhub:immutable:audit_logs.%', column_name using errcode = 'P0001';
        end if;
    end loop;
    foreach column_name in array array['key_id', 'session_id', 'org_id'] loop
        if to_jsonb(new) -> column_name is distinct from to_jsonb(old) -> column_name
            and to_jsonb(new) ->> column_name is not null
        then
            raise exception 'alkhub:immutable:audit_logs.%', column_name using errcode = 'P0001';
        end if;
    end loop;
    if coalesce(new.metadata, '{}') - 'chain' is distinct from coalesce(old.metadata, '{}') - 'chain'
        or (old.metadata ? 'chain' and new.metadata -> 'chain' is distinct from old.metadata -> 'chain')
    then
        raise exception 'alkhub:immutable:audit_logs.metadata' using errcode = 'P0001';
    end if;
    return new;
end
$$;

create trigger trg_audit_logs_immutable before update on audit_logs
    for each row execute function hub_refuse_audit_update();

create function hub_refuse_audit_delete() returns trigger language plpgsql as $$
begin
    if exists (select 1 from hub_meta where "key" = 'audit.prune') then
        return old;
    end if;
    raise exception 'alkhub:immutable:audit_logs.*' using errcode = 'P0001';
end
$$;

create trigger trg_audit_logs_delete before delete on audit_logs
    for each row execute function hub_refuse_audit_delete();
create trigger trg_audit_logs_truncate before truncate on audit_logs
    for each statement execute function hub_refuse_audit_delete();

-- 6. Rules between tables

-- The owner of an organization is always a member of level owner. While the organization or the
-- account itself is being deleted its row is already gone, and the foreign keys decide.
create function hub_refuse_owner_loss() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from organizations join accounts on accounts.id = organizations.owner_id
        where organizations.id = old.org_id and organizations.owner_id = old.account_id
    ) then
        raise exception 'alkhub:rule:last_owner' using errcode = 'P0001';
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;

create trigger trg_organization_members_owner_delete before delete on organization_members
    for each row when (old.membership_level = 'owner') execute function hub_refuse_owner_loss();
create trigger trg_organization_members_owner_update before update on organization_members
    for each row when (
        old.membership_level = 'owner' and (
            new.membership_level <> 'owner'
            or new.org_id <> old.org_id
            or new.account_id <> old.account_id
        )
    )
    execute function hub_refuse_owner_loss();

create function hub_require_owner_membership() returns trigger language plpgsql as $$
begin
    if not exists (
        select 1 from organization_members
        where org_id = new.id and account_id = new.owner_id and membership_level = 'owner'
    ) then
        raise exception 'alkhub:rule:owner_not_member' using errcode = 'P0001';
    end if;
    return new;
end
$$;

create trigger trg_organizations_owner before update of owner_id on organizations
    for each row when (new.owner_id is distinct from old.owner_id)
    execute function hub_require_owner_membership();

-- A part lies in the session of its message. A missing message is left to the foreign key.
create function hub_require_session_of_message() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from messages where id = new.message_id and session_id <> new.session_id
    ) then
        raise exception 'alkhub:rule:foreign_message' using errcode = 'P0001';
    end if;
    return new;
end
$$;

create trigger trg_parts_session before insert on parts
    for each row execute function hub_require_session_of_message();

-- A provider exists when it registers; the row lock is what a foreign key would take. Unknown types
-- are left to the check.
create function hub_require_provider() returns trigger language plpgsql as $$
begin
    if new.provider_type = 'spoke' then
        perform 1 from spokes where id = new.provider_id for key share;
    elsif new.provider_type = 'client' then
        perform 1 from clients where id = new.provider_id for key share;
    else
        return new;
    end if;
    if not found then
        raise exception 'alkhub:rule:unknown_provider' using errcode = 'P0001';
    end if;
    return new;
end
$$;

create trigger trg_operation_registrations_provider before insert on operation_registrations
    for each row execute function hub_require_provider();

-- And its registrations go with it: nothing could be called through them.
create function hub_delete_registrations() returns trigger language plpgsql as $$
begin
    delete from operation_registrations
    where provider_type = tg_argv[0] and provider_id = old.id;
    return old;
end
$$;

create trigger trg_spokes_delete_registrations after delete on spokes
    for each row execute function hub_delete_registrations('spoke');
create trigger trg_clients_delete_registrations after delete on clients
    for each row execute function hub_delete_registrations('client');

-- mappings.task caches the slug of a task. A trigger, because tasks also go by cascade from projects.
create function hub_forget_task_text() returns trigger language plpgsql as $$
begin
    update mappings set task = null where task_id = old.id;
    return old;
end
$$;

create trigger trg_tasks_forget_mapping_text before delete on tasks
    for each row execute function hub_forget_task_text();

-- Both ends of a dependency lie in one project. Missing tasks are left to the foreign keys.
create function hub_require_same_project() returns trigger language plpgsql as $$
begin
    if (select count(distinct project_id) from tasks
        where id in (new.depends_on_task_id, new.dependent_task_id)) > 1
    then
        raise exception 'alkhub:rule:other_project' using errcode = 'P0001';
    end if;
    return new;
end
$$;

create trigger trg_task_dependencies_project before insert on task_dependencies
    for each row execute function hub_require_same_project();

-- 7. Ready tasks
--
-- A task can be begun when it is pending and every prerequisite is completed. The view says which tasks
-- these are and where each stands among those offered; one that is never due stands last. It is asked for
-- tasks by their ids; the empty text keeps a plan that was made while the table was small from going by an index
-- of statuses.
create function hub_priority_rank(priority text) returns integer
    language sql immutable parallel safe
    return case priority when 'critical' then 0 when 'high' then 1 when 'medium' then 2 when 'low' then 3 else 4 end;

create view hub_startable_tasks as
select
    t.id as task_id,
    t.project_id,
    hub_priority_rank(t.priority) as priority_rank,
    coalesce(t.due_at, 'infinity') as due_at,
    t.slug
from tasks t
where t.status || '' = 'pending'
    and not exists (
        select 1 from task_dependencies d join tasks p on p.id = d.depends_on_task_id
        where d.dependent_task_id = t.id and p.status <> 'completed'
    );

-- The rows of the view, so that a page of them is read from an index however many tasks wait. Triggers
-- keep it true; nothing else writes it.
create table hub_ready_tasks (
    task_id text not null primary key,
    project_id text not null,
    priority_rank integer not null,
    due_at timestamptz not null,
    slug text collate "C" not null
);
create index hub_idx_ready_tasks_order on hub_ready_tasks (project_id, priority_rank, due_at, slug);

-- Two transactions that complete the last two prerequisites of a task do not see each other, and neither
-- would find it ready. Whoever touches what others may wait for therefore goes one after the other within
-- a project, to the end of the transaction; what is read after the lock is what the others committed.
create function hub_lock_ready_tasks(project_ids text[]) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('hub_ready_tasks:' || ordered.id, 0))
    from (select distinct given.id from unnest(project_ids) as given (id) order by given.id) as ordered;
end
$$;

-- Writes down anew whether these tasks are ready. The lock is held.
create function hub_settle_ready_tasks(task_ids text[]) returns void language plpgsql as $$
begin
    delete from hub_ready_tasks where task_id = any (task_ids);
    insert into hub_ready_tasks select * from hub_startable_tasks where task_id = any (task_ids);
end
$$;

-- A task that was not there waits for nothing.
create function hub_note_new_tasks() returns trigger language plpgsql as $$
begin
    insert into hub_ready_tasks
    select id, project_id, hub_priority_rank(priority), coalesce(due_at, 'infinity'), slug
    from made where status = 'pending';
    return null;
end
$$;
create trigger hub_ready_tasks_new after insert on tasks
    referencing new table as made for each statement execute function hub_note_new_tasks();

-- With these settings a statement is planned once a session and not once a row, and a plan that was made while
-- a table was small does not read the whole of it later: what is touched is found by indexes, row by row.
create function hub_note_gone_tasks() returns trigger language plpgsql
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    delete from hub_ready_tasks where task_id in (select id from gone);
    return null;
end
$$;
create trigger hub_ready_tasks_gone after delete on tasks
    referencing old table as gone for each statement execute function hub_note_gone_tasks();

create function hub_note_changed_task() returns trigger language plpgsql
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    perform hub_lock_ready_tasks(array[new.project_id]);
    perform hub_settle_ready_tasks(array[new.id]);
    -- What waits for a task that was completed, or that no longer is.
    if (old.status = 'completed') <> (new.status = 'completed') then
        perform hub_settle_ready_tasks(array(
            select dependent_task_id from task_dependencies where depends_on_task_id = new.id
        ));
    end if;
    return null;
end
$$;
create trigger hub_ready_tasks_changed after update of status, priority, due_at, slug, project_id on tasks
    for each row when (
        (old.status = 'pending') <> (new.status = 'pending')
        or (old.status = 'completed') <> (new.status = 'completed')
        or new.status = 'pending' and (
            new.priority is distinct from old.priority or new.due_at is distinct from old.due_at
            or new.slug <> old.slug or new.project_id <> old.project_id
        )
    ) execute function hub_note_changed_task();

create function hub_note_changed_edges() returns trigger language plpgsql
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    dependents text[];
begin
    dependents := array(select distinct dependent_task_id from changed);
    if cardinality(dependents) > 0 then
        perform hub_lock_ready_tasks(array(select project_id from tasks where id = any (dependents)));
        perform hub_settle_ready_tasks(dependents);
    end if;
    return null;
end
$$;
create trigger hub_ready_tasks_edges_new after insert on task_dependencies
    referencing new table as changed for each statement execute function hub_note_changed_edges();
create trigger hub_ready_tasks_edges_gone after delete on task_dependencies
    referencing old table as changed for each statement execute function hub_note_changed_edges();

-- 8. The sentinel operation
--
-- Records of a removed operation are moved to this row. It can be neither called nor changed.
insert into operations (
    id, namespace, name, version, "type", description, input_schema, output_schema, access_control
) values (
    '__removed__', 'system', 'removed', '0.0.0', 'query', 'removed operation',
    '{}', '{}', '{"requiredScopes": ["system:never"]}'
);

create function hub_refuse_sentinel_change() returns trigger language plpgsql as $$
begin
    raise exception 'alkhub:rule:sentinel' using errcode = 'P0001';
end
$$;

create trigger trg_operations_sentinel before update or delete on operations
    for each row when (old.id = '__removed__') execute function hub_refuse_sentinel_change();
