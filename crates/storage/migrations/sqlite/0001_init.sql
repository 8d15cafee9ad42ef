-- The first schema on SQLite 3.45 and up: 22 tables, 37 foreign keys, 86 indexes.
--
-- The file is frozen once released: the hub refuses to start on a data base that was migrated with
-- another text. It runs inside one transaction of the migration runner. The PostgreSQL file of the
-- same number says the same; idx_tasks_tags is missing here because SQLite has no GIN.
--
-- Names: fk_<table>_<column>, chk_<table>_<column>, trg_<table>_<what>. Objects with the prefix
-- hub_ are the hub's own and lie outside the 22 tables. Triggers refuse with the message
-- alkhub:immutable:<table>.<column> or alkhub:rule:<name>, which the storage crate turns into errors.

-- 1. Tables and their indexes
--
-- Every table has id, metadata, created_at and updated_at. Ids come from the code, never from the
-- data base. Times are RFC 3339 text with the offset +00:00: so text order is time order, whatever the
-- number of decimals, which would not hold for Z. BOOLEAN is declared because the driver decodes by it.

-- Identities of people and of machines. Addresses are stored trimmed and in lower case, so that no two
-- accounts are twins.
create table accounts (
    id TEXT not null primary key,
    email TEXT not null,
    display_name TEXT,
    access_level TEXT not null default 'user',
    status TEXT not null default 'active',
    gitea_username TEXT,
    data TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_accounts_email check (email <> ''),
    constraint chk_accounts_access_level check (access_level in ('admin', 'user', 'service')),
    constraint chk_accounts_status check (status in ('active', 'suspended', 'deactivated')),
    constraint chk_accounts_data check (data is null or json_valid(data)),
    constraint chk_accounts_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_accounts_created_at check (created_at like '%+00:00'),
    constraint chk_accounts_updated_at check (updated_at like '%+00:00')
);

create unique index unq_accounts_email on accounts (email);
create index idx_accounts_gitea_username on accounts (gitea_username);
create index idx_accounts_display_name on accounts (display_name);

-- The owner changes only by a transfer; trg_organization_members_owner_* keep the owner a member.
create table organizations (
    id TEXT not null primary key,
    name TEXT not null,
    slug TEXT not null,
    owner_id TEXT not null,
    gitea_org_name TEXT,
    data TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_organizations_name check (name <> ''),
    constraint chk_organizations_slug check (slug <> '' and slug not glob '*[^a-z0-9-]*'),
    constraint chk_organizations_data check (data is null or json_valid(data)),
    constraint chk_organizations_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_organizations_created_at check (created_at like '%+00:00'),
    constraint chk_organizations_updated_at check (updated_at like '%+00:00'),
    constraint fk_organizations_owner_id foreign key (owner_id) references accounts (id) on delete restrict
);

create unique index unq_organizations_name on organizations (name);
create unique index unq_organizations_slug on organizations (slug);
create index idx_organizations_owner_id on organizations (owner_id);
create index idx_organizations_gitea_org_name on organizations (gitea_org_name);

-- Who belongs to which organization.
create table organization_members (
    id TEXT not null primary key,
    org_id TEXT not null,
    account_id TEXT not null,
    membership_level TEXT not null default 'member',
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_organization_members_membership_level check (membership_level in ('owner', 'admin', 'member')),
    constraint chk_organization_members_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_organization_members_created_at check (created_at like '%+00:00'),
    constraint chk_organization_members_updated_at check (updated_at like '%+00:00'),
    constraint fk_organization_members_org_id foreign key (org_id) references organizations (id) on delete cascade,
    constraint fk_organization_members_account_id foreign key (account_id) references accounts (id) on delete cascade
);

create unique index unq_org_members_org_account on organization_members (org_id, account_id);
create index idx_org_members_account_id on organization_members (account_id);
create index idx_org_members_org_id on organization_members (org_id);

-- Only a SHA-256 hash is kept: keys are random with at least 128 bits, a slow hash would cost every
-- request.
create table api_keys (
    id TEXT not null primary key,
    owner_id TEXT not null,
    name TEXT,
    description TEXT,
    key_hash TEXT not null,
    key_prefix TEXT not null,
    scopes TEXT not null default '[]',
    resources TEXT not null default '{}',
    enabled BOOLEAN not null default true,
    expires_at TEXT,
    revoked_at TEXT,
    rotated_to_id TEXT,
    last_used_at TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_api_keys_name check (name <> ''),
    constraint chk_api_keys_scopes check (json_valid(scopes)),
    constraint chk_api_keys_resources check (json_valid(resources)),
    constraint chk_api_keys_enabled check (enabled in (0, 1)),
    constraint chk_api_keys_expires_at check (expires_at like '%+00:00'),
    constraint chk_api_keys_revoked_at check (revoked_at like '%+00:00'),
    constraint chk_api_keys_last_used_at check (last_used_at like '%+00:00'),
    constraint chk_api_keys_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_api_keys_created_at check (created_at like '%+00:00'),
    constraint chk_api_keys_updated_at check (updated_at like '%+00:00'),
    constraint fk_api_keys_owner_id foreign key (owner_id) references accounts (id) on delete cascade,
    constraint fk_api_keys_rotated_to_id foreign key (rotated_to_id) references api_keys (id) on delete set null
);

create index idx_api_keys_owner_id on api_keys (owner_id);
create unique index unq_api_keys_key_hash on api_keys (key_hash);
create index idx_api_keys_enabled on api_keys (enabled);
create index idx_api_keys_active on api_keys (owner_id) where revoked_at is null and enabled = true;

-- Without an organization a project is personal; metadata.ownerId says whose.
create table projects (
    id TEXT not null primary key,
    org_id TEXT,
    name TEXT not null,
    directory TEXT,
    repo_url TEXT,
    vcs TEXT default 'git',
    icon_url TEXT,
    icon_color TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_projects_name check (name <> ''),
    constraint chk_projects_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_projects_created_at check (created_at like '%+00:00'),
    constraint chk_projects_updated_at check (updated_at like '%+00:00'),
    constraint fk_projects_org_id foreign key (org_id) references organizations (id) on delete set null
);

create index idx_projects_org_id on projects (org_id);

-- A branch, directory or execution place of a project.
create table workspaces (
    id TEXT not null primary key,
    project_id TEXT not null,
    "type" TEXT not null default 'local',
    branch TEXT,
    name TEXT,
    directory TEXT,
    extra TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_workspaces_type check ("type" in ('local', 'remote', 'container')),
    constraint chk_workspaces_name check (name <> ''),
    constraint chk_workspaces_extra check (extra is null or json_valid(extra)),
    constraint chk_workspaces_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_workspaces_created_at check (created_at like '%+00:00'),
    constraint chk_workspaces_updated_at check (updated_at like '%+00:00'),
    constraint fk_workspaces_project_id foreign key (project_id) references projects (id) on delete cascade
);

create index idx_workspaces_project_id on workspaces (project_id);

-- role_name is free text on purpose: roles may come from files before they are rows.
create table sessions (
    id TEXT not null primary key,
    account_id TEXT,
    project_id TEXT not null,
    workspace_id TEXT,
    parent_id TEXT,
    slug TEXT not null,
    title TEXT not null,
    status TEXT not null default 'idle',
    version TEXT not null default '1',
    role_name TEXT,
    data TEXT,
    archived_at TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_sessions_slug check (slug <> ''),
    constraint chk_sessions_status check (status in ('idle', 'busy', 'retry', 'archived')),
    constraint chk_sessions_data check (data is null or json_valid(data)),
    constraint chk_sessions_archived_at check (archived_at like '%+00:00'),
    constraint chk_sessions_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_sessions_created_at check (created_at like '%+00:00'),
    constraint chk_sessions_updated_at check (updated_at like '%+00:00'),
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
    id TEXT not null primary key,
    session_id TEXT not null,
    role TEXT not null,
    data TEXT not null,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_messages_role check (role in ('user', 'assistant', 'system')),
    constraint chk_messages_data check (json_valid(data)),
    constraint chk_messages_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_messages_created_at check (created_at like '%+00:00'),
    constraint chk_messages_updated_at check (updated_at like '%+00:00'),
    constraint fk_messages_session_id foreign key (session_id) references sessions (id) on delete cascade
);

create index idx_messages_session_id_created_at_id on messages (session_id, created_at, id);

-- Ids are UUIDv7, so the order of ids is the order of creation within a message.
create table parts (
    id TEXT not null primary key,
    message_id TEXT not null,
    session_id TEXT not null,
    "type" TEXT not null,
    data TEXT not null,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_parts_type check ("type" in ('text', 'reasoning', 'file', 'tool-call', 'step-start', 'step-finish', 'snapshot', 'patch', 'agent', 'compaction', 'retry', 'source', 'notice')),
    constraint chk_parts_data check (json_valid(data)),
    constraint chk_parts_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_parts_created_at check (created_at like '%+00:00'),
    constraint chk_parts_updated_at check (updated_at like '%+00:00'),
    constraint fk_parts_message_id foreign key (message_id) references messages (id) on delete cascade,
    constraint fk_parts_session_id foreign key (session_id) references sessions (id) on delete cascade
);

create index part_session_idx on parts (session_id);
create index part_message_id_id_idx on parts (message_id, id);
create index idx_parts_session_id_type on parts (session_id, "type");

-- A reconnect reuses the row.
create table spokes (
    id TEXT not null primary key,
    name TEXT not null,
    status TEXT not null default 'connected',
    spoke_type TEXT not null default 'custom',
    project_id TEXT,
    last_heartbeat TEXT,
    host_info TEXT,
    connected_at TEXT,
    disconnected_at TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_spokes_name check (name <> ''),
    constraint chk_spokes_status check (status in ('connected', 'disconnected')),
    constraint chk_spokes_spoke_type check (spoke_type in ('dev-env', 'client', 'compute', 'custom')),
    constraint chk_spokes_last_heartbeat check (last_heartbeat like '%+00:00'),
    constraint chk_spokes_host_info check (host_info is null or json_valid(host_info)),
    constraint chk_spokes_connected_at check (connected_at like '%+00:00'),
    constraint chk_spokes_disconnected_at check (disconnected_at like '%+00:00'),
    constraint chk_spokes_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_spokes_created_at check (created_at like '%+00:00'),
    constraint chk_spokes_updated_at check (updated_at like '%+00:00'),
    constraint fk_spokes_project_id foreign key (project_id) references projects (id) on delete set null
);

create index idx_spokes_project_id on spokes (project_id);
create index idx_spokes_status on spokes (status);
create index idx_spokes_active on spokes (id) where status = 'connected';
create index idx_spokes_name on spokes (name);

-- Definitions, independent of who provides them. One row a name: a higher version replaces it.
create table operations (
    id TEXT not null primary key,
    namespace TEXT not null,
    name TEXT not null,
    version TEXT not null,
    "type" TEXT not null,
    title TEXT,
    description TEXT not null,
    tags TEXT not null default '[]',
    input_schema TEXT not null,
    output_schema TEXT not null,
    error_schemas TEXT not null default '[]',
    access_control TEXT not null,
    _meta TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_operations_name check (name <> ''),
    constraint chk_operations_type check ("type" in ('query', 'mutation', 'subscription')),
    constraint chk_operations_tags check (json_valid(tags)),
    constraint chk_operations_input_schema check (json_valid(input_schema)),
    constraint chk_operations_output_schema check (json_valid(output_schema)),
    constraint chk_operations_error_schemas check (json_valid(error_schemas)),
    constraint chk_operations_access_control check (json_valid(access_control)),
    constraint chk_operations__meta check (_meta is null or json_valid(_meta)),
    constraint chk_operations_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_operations_created_at check (created_at like '%+00:00'),
    constraint chk_operations_updated_at check (updated_at like '%+00:00')
);

create unique index unq_operations_namespace_name on operations (namespace, name);
create index idx_operations_namespace on operations (namespace);
create index idx_operations_type on operations ("type");

-- Who offers an operation now. provider_id names a row of spokes or clients, so no foreign key fits;
-- triggers keep it true.
create table operation_registrations (
    id TEXT not null primary key,
    operation_id TEXT not null,
    provider_type TEXT not null,
    provider_id TEXT not null,
    status TEXT not null default 'active',
    pre_remap_namespace TEXT,
    pre_remap_name TEXT,
    registered_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_operation_registrations_provider_type check (provider_type in ('spoke', 'client')),
    constraint chk_operation_registrations_status check (status in ('active', 'inactive')),
    constraint chk_operation_registrations_registered_at check (registered_at like '%+00:00'),
    constraint chk_operation_registrations_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_operation_registrations_created_at check (created_at like '%+00:00'),
    constraint chk_operation_registrations_updated_at check (updated_at like '%+00:00'),
    constraint fk_operation_registrations_operation_id foreign key (operation_id) references operations (id) on delete cascade
);

create unique index unq_operation_registrations_active on operation_registrations (operation_id, provider_type, provider_id) where status = 'active';
create index idx_operation_registrations_operation_id on operation_registrations (operation_id);
create index idx_operation_registrations_provider_id on operation_registrations (provider_id);
create index idx_operation_registrations_status on operation_registrations (status);

-- Services the hub calls. Never a credential in this table.
create table clients (
    id TEXT not null primary key,
    name TEXT not null,
    "type" TEXT not null,
    config TEXT not null,
    enabled BOOLEAN not null default true,
    owner_id TEXT not null,
    org_id TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_clients_name check (name <> ''),
    constraint chk_clients_type check ("type" in ('llm-provider', 'vcs', 'compute', 'mcp-server', 'custom')),
    constraint chk_clients_config check (json_valid(config)),
    constraint chk_clients_enabled check (enabled in (0, 1)),
    constraint chk_clients_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_clients_created_at check (created_at like '%+00:00'),
    constraint chk_clients_updated_at check (updated_at like '%+00:00'),
    constraint fk_clients_owner_id foreign key (owner_id) references accounts (id) on delete restrict,
    constraint fk_clients_org_id foreign key (org_id) references organizations (id) on delete set null
);

create unique index unq_clients_name on clients (name);
create index idx_clients_type on clients ("type");
create index idx_clients_owner_id on clients (owner_id);
create index idx_clients_org_id on clients (org_id);

-- Encrypted values only.
create table client_secrets (
    id TEXT not null primary key,
    client_id TEXT not null,
    "key" TEXT not null,
    "value" TEXT not null,
    expires_at TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_client_secrets_key check ("key" <> ''),
    constraint chk_client_secrets_value check (json_valid("value")),
    constraint chk_client_secrets_expires_at check (expires_at like '%+00:00'),
    constraint chk_client_secrets_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_client_secrets_created_at check (created_at like '%+00:00'),
    constraint chk_client_secrets_updated_at check (updated_at like '%+00:00'),
    constraint fk_client_secrets_client_id foreign key (client_id) references clients (id) on delete cascade
);

create unique index unq_client_secrets_client_key on client_secrets (client_id, "key");
create index idx_client_secrets_expires_at on client_secrets (expires_at);

-- sessions.role_name refers to the name by text.
create table roles (
    id TEXT not null primary key,
    name TEXT not null,
    description TEXT,
    mode TEXT not null,
    temperature REAL,
    permissions TEXT not null default '[]',
    tools TEXT not null default '{}',
    prompt TEXT,
    parent_id TEXT,
    scopes TEXT not null default '[]',
    data TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_roles_name check (name <> ''),
    constraint chk_roles_mode check (mode in ('primary', 'subagent')),
    constraint chk_roles_temperature check (temperature between 0 and 2),
    constraint chk_roles_permissions check (json_valid(permissions)),
    constraint chk_roles_tools check (json_valid(tools)),
    constraint chk_roles_scopes check (json_valid(scopes)),
    constraint chk_roles_data check (data is null or json_valid(data)),
    constraint chk_roles_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_roles_created_at check (created_at like '%+00:00'),
    constraint chk_roles_updated_at check (updated_at like '%+00:00'),
    constraint fk_roles_parent_id foreign key (parent_id) references roles (id) on delete set null
);

create unique index unq_roles_name on roles (name);
create index idx_roles_parent_id on roles (parent_id);
create index idx_roles_mode on roles (mode);

-- Authored columns come from files and operations; status, started_at and completed_at are written at
-- run time only.
create table tasks (
    id TEXT not null primary key,
    project_id TEXT not null,
    slug TEXT not null,
    name TEXT not null,
    path TEXT,
    status TEXT not null default 'pending',
    scope TEXT,
    risk TEXT,
    impact TEXT,
    level TEXT,
    priority TEXT,
    tags TEXT not null default '[]',
    assignee TEXT,
    due_at TEXT,
    body TEXT,
    file_created_at TEXT,
    file_modified_at TEXT,
    started_at TEXT,
    completed_at TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_tasks_slug check (slug <> ''),
    constraint chk_tasks_name check (name <> ''),
    constraint chk_tasks_status check (status in ('pending', 'in-progress', 'completed', 'failed', 'blocked')),
    constraint chk_tasks_scope check (scope in ('single', 'narrow', 'moderate', 'broad', 'system')),
    constraint chk_tasks_risk check (risk in ('trivial', 'low', 'medium', 'high', 'critical')),
    constraint chk_tasks_impact check (impact in ('isolated', 'component', 'phase', 'project')),
    constraint chk_tasks_level check (level in ('planning', 'decomposition', 'implementation', 'review', 'research')),
    constraint chk_tasks_priority check (priority in ('low', 'medium', 'high', 'critical')),
    constraint chk_tasks_tags check (json_valid(tags)),
    constraint chk_tasks_due_at check (due_at like '%+00:00'),
    constraint chk_tasks_file_created_at check (file_created_at like '%+00:00'),
    constraint chk_tasks_file_modified_at check (file_modified_at like '%+00:00'),
    constraint chk_tasks_started_at check (started_at like '%+00:00'),
    constraint chk_tasks_completed_at check (completed_at like '%+00:00'),
    constraint chk_tasks_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_tasks_created_at check (created_at like '%+00:00'),
    constraint chk_tasks_updated_at check (updated_at like '%+00:00'),
    constraint fk_tasks_project_id foreign key (project_id) references projects (id) on delete cascade
);

create unique index unq_tasks_project_slug on tasks (project_id, slug);
create index idx_tasks_project_id on tasks (project_id);
create index idx_tasks_project_status on tasks (project_id, status);
create index idx_tasks_status on tasks (status);
create index idx_tasks_active on tasks (project_id, status) where status in ('pending', 'in-progress', 'blocked');
create index idx_tasks_path on tasks (path);
create index idx_tasks_priority on tasks (priority);
create index idx_tasks_assignee on tasks (assignee);
create index idx_tasks_due_at on tasks (due_at);
-- The order of a page of the project's tasks. The status comes along so that tasks of another one are passed
-- over without their rows.
create index hub_idx_tasks_page on tasks (project_id, created_at, id, status);

-- Edges run from the prerequisite to the dependent.
create table task_dependencies (
    id TEXT not null primary key,
    depends_on_task_id TEXT not null,
    dependent_task_id TEXT not null,
    quality_retention REAL,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_task_dependencies_dependent_task_id check (dependent_task_id <> depends_on_task_id),
    constraint chk_task_dependencies_quality_retention check (quality_retention between 0 and 1),
    constraint chk_task_dependencies_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_task_dependencies_created_at check (created_at like '%+00:00'),
    constraint chk_task_dependencies_updated_at check (updated_at like '%+00:00'),
    constraint fk_task_dependencies_depends_on_task_id foreign key (depends_on_task_id) references tasks (id) on delete cascade,
    constraint fk_task_dependencies_dependent_task_id foreign key (dependent_task_id) references tasks (id) on delete cascade
);

create unique index unq_task_dependencies_depends_on_task on task_dependencies (depends_on_task_id, dependent_task_id);
create index idx_task_dependencies_depends_on_task_id on task_dependencies (depends_on_task_id);
create index idx_task_dependencies_dependent_task_id on task_dependencies (dependent_task_id);

-- A spawned session, who spawned it, where it runs, for which task. A new try is a new row.
create table mappings (
    id TEXT not null primary key,
    session_id TEXT not null,
    spoke_id TEXT,
    workspace_id TEXT,
    parent_session_id TEXT,
    task_id TEXT,
    task TEXT,
    status TEXT not null default 'active',
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_mappings_status check (status in ('active', 'completed', 'aborted', 'failed')),
    constraint chk_mappings_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_mappings_created_at check (created_at like '%+00:00'),
    constraint chk_mappings_updated_at check (updated_at like '%+00:00'),
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
    id TEXT not null primary key,
    session_id TEXT not null,
    anomaly_type TEXT not null,
    severity TEXT not null default 'medium',
    details TEXT not null default '{}',
    dedup_key TEXT,
    resolved_at TEXT,
    resolved_by TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_detections_severity check (severity in ('low', 'medium', 'high')),
    constraint chk_detections_details check (json_valid(details)),
    constraint chk_detections_resolved_at check (resolved_at like '%+00:00'),
    constraint chk_detections_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_detections_created_at check (created_at like '%+00:00'),
    constraint chk_detections_updated_at check (updated_at like '%+00:00'),
    constraint fk_detections_session_id foreign key (session_id) references sessions (id) on delete cascade,
    constraint fk_detections_resolved_by foreign key (resolved_by) references accounts (id) on delete set null
);

create index idx_detections_session_id on detections (session_id);
create index idx_detections_anomaly_type on detections (anomaly_type);
create index idx_detections_resolved_at on detections (resolved_at);
create index idx_detections_dedup_key on detections (dedup_key);

-- caller_account_id and parent_request_id have no foreign key: the hot path saves the look-ups.
create table call_graph_nodes (
    id TEXT not null primary key,
    request_id TEXT not null,
    operation_id TEXT not null,
    parent_request_id TEXT,
    identity TEXT,
    caller_account_id TEXT,
    status TEXT not null default 'pending',
    input TEXT,
    output TEXT,
    error TEXT,
    started_at TEXT,
    completed_at TEXT,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_call_graph_nodes_identity check (identity is null or json_valid(identity)),
    constraint chk_call_graph_nodes_status check (status in ('pending', 'running', 'completed', 'failed', 'aborted')),
    constraint chk_call_graph_nodes_input check (input is null or json_valid(input)),
    constraint chk_call_graph_nodes_output check (output is null or json_valid(output)),
    constraint chk_call_graph_nodes_error check (error is null or json_valid(error)),
    constraint chk_call_graph_nodes_started_at check (started_at like '%+00:00'),
    constraint chk_call_graph_nodes_completed_at check (completed_at like '%+00:00'),
    constraint chk_call_graph_nodes_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_call_graph_nodes_created_at check (created_at like '%+00:00'),
    constraint chk_call_graph_nodes_updated_at check (updated_at like '%+00:00'),
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
    id TEXT not null primary key,
    source_id TEXT not null,
    target_id TEXT not null,
    edge_type TEXT not null,
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_call_graph_edges_target_id check (target_id <> source_id),
    constraint chk_call_graph_edges_edge_type check (edge_type in ('triggered', 'depends_on')),
    constraint chk_call_graph_edges_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_call_graph_edges_created_at check (created_at like '%+00:00'),
    constraint chk_call_graph_edges_updated_at check (updated_at like '%+00:00'),
    constraint fk_call_graph_edges_source_id foreign key (source_id) references call_graph_nodes (id) on delete cascade,
    constraint fk_call_graph_edges_target_id foreign key (target_id) references call_graph_nodes (id) on delete cascade
);

create index idx_call_graph_edges_source_id on call_graph_edges (source_id);
create index idx_call_graph_edges_target_id on call_graph_edges (target_id);
create index idx_call_graph_edges_source_id_type on call_graph_edges (source_id, edge_type);
create unique index unq_call_graph_edges_source_target_type on call_graph_edges (source_id, target_id, edge_type);

-- Append-only; see the triggers.
create table audit_logs (
    id TEXT not null primary key,
    owner_id TEXT not null,
    key_id TEXT,
    session_id TEXT,
    org_id TEXT,
    action TEXT not null,
    details TEXT not null default '{}',
    metadata TEXT default '{}',
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    constraint chk_audit_logs_details check (json_valid(details)),
    constraint chk_audit_logs_metadata check (metadata is null or (json_valid(metadata) and json_type(metadata) = 'object')),
    constraint chk_audit_logs_created_at check (created_at like '%+00:00'),
    constraint chk_audit_logs_updated_at check (updated_at like '%+00:00'),
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
    version INTEGER not null primary key,
    name TEXT not null,
    sha256 TEXT not null,
    applied_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
);

-- One row a fact: instances, data keys, leases of jobs, settings, the switch audit.prune.
create table hub_meta (
    "key" TEXT not null primary key,
    "value" TEXT not null check (json_valid("value")),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
        check (updated_at like '%+00:00')
);

-- Added to by upserts; '' stands for "none" so that the primary key needs no null. No foreign keys:
-- usage outlives what it was used for.
create table hub_usage (
    day TEXT not null check (day glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    account_id TEXT not null default '',
    key_id TEXT not null default '',
    org_id TEXT not null default '',
    project_id TEXT not null default '',
    session_id TEXT not null default '',
    task_id TEXT not null default '',
    client_id TEXT not null default '',
    model TEXT not null default '',
    requests INTEGER not null default 0,
    errors INTEGER not null default 0,
    tokens_input INTEGER not null default 0,
    tokens_output INTEGER not null default 0,
    tokens_cached INTEGER not null default 0,
    tokens_reasoning INTEGER not null default 0,
    cost_micros INTEGER not null default 0,
    primary key (day, account_id, key_id, org_id, project_id, session_id, task_id, client_id, model)
);

create table hub_budgets (
    id TEXT not null primary key,
    subject_type TEXT not null,
    subject_id TEXT not null,
    period TEXT not null,
    action TEXT not null,
    limit_cost_micros INTEGER,
    limit_tokens INTEGER,
    warn_at REAL not null default 0.8,
    created_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
        check (created_at like '%+00:00'),
    updated_at TEXT not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
        check (updated_at like '%+00:00')
);
create unique index hub_unq_budgets_subject_period on hub_budgets (subject_type, subject_id, period);

-- Pieces of 256 KiB, used where no directory for blobs is configured.
create table hub_blobs (
    sha256 TEXT not null,
    piece INTEGER not null,
    data BLOB not null,
    primary key (sha256, piece)
);

-- 3. Full text over parts
--
-- The index keeps no copy of the text (snippets are cut from the part itself). It is addressed by a
-- number of its own: the rowids of parts may change when the file is vacuumed.
create virtual table hub_fts_parts using fts5 (
    content, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'
);
create table hub_fts_part_rows (
    row INTEGER not null primary key,
    part_id TEXT not null
);
create unique index hub_unq_fts_part_rows_part_id on hub_fts_part_rows (part_id);

-- What is searched in a part: text, reasoning, a tool's title, string inputs and output, each cut to
-- 64 Ki characters, as on PostgreSQL.
create trigger hub_fts_parts_insert after insert on parts
    when new."type" in ('text', 'reasoning', 'tool-call')
begin
    insert into hub_fts_part_rows (part_id) values (new.id);
    insert into hub_fts_parts (rowid, content)
    select row, case
        when new."type" = 'tool-call' then concat_ws(' ',
            substr(new.data ->> '$.state.title', 1, 65536),
            substr((
                select group_concat(atom, ' ') from json_tree(new.data, '$.state.input')
                where type = 'text'
            ), 1, 65536),
            substr(new.data ->> '$.state.output', 1, 65536)
        )
        else substr(coalesce(new.data ->> '$.text', ''), 1, 65536)
    end
    from hub_fts_part_rows where part_id = new.id;
end;
create trigger hub_fts_parts_update after update of "type", data on parts
    when new."type" in ('text', 'reasoning', 'tool-call')
        or old."type" in ('text', 'reasoning', 'tool-call')
begin
    delete from hub_fts_parts
    where rowid = (select row from hub_fts_part_rows where part_id = old.id);
    delete from hub_fts_part_rows where part_id = old.id;
    insert into hub_fts_part_rows (part_id)
    select new.id where new."type" in ('text', 'reasoning', 'tool-call');
    insert into hub_fts_parts (rowid, content)
    select row, case
        when new."type" = 'tool-call' then concat_ws(' ',
            substr(new.data ->> '$.state.title', 1, 65536),
            substr((
                select group_concat(atom, ' ') from json_tree(new.data, '$.state.input')
                where type = 'text'
            ), 1, 65536),
            substr(new.data ->> '$.state.output', 1, 65536)
        )
        else substr(coalesce(new.data ->> '$.text', ''), 1, 65536)
    end
    from hub_fts_part_rows where part_id = new.id;
end;
create trigger hub_fts_parts_delete after delete on parts
    when old."type" in ('text', 'reasoning', 'tool-call')
begin
    delete from hub_fts_parts
    where rowid = (select row from hub_fts_part_rows where part_id = old.id);
    delete from hub_fts_part_rows where part_id = old.id;
end;

-- 4. updated_at
--
-- The code sets it; this is the safety net for hand-written SQL. Never backwards and never the same
-- value twice, because callers compare it to find lost updates. The pragma recursive_triggers stays
-- off, so the inner update does not come here again.
create trigger trg_accounts_updated_at after update on accounts
    when new.updated_at is old.updated_at
begin
    update accounts set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_organizations_updated_at after update on organizations
    when new.updated_at is old.updated_at
begin
    update organizations set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_organization_members_updated_at after update on organization_members
    when new.updated_at is old.updated_at
begin
    update organization_members set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_api_keys_updated_at after update on api_keys
    when new.updated_at is old.updated_at
begin
    update api_keys set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_projects_updated_at after update on projects
    when new.updated_at is old.updated_at
begin
    update projects set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_workspaces_updated_at after update on workspaces
    when new.updated_at is old.updated_at
begin
    update workspaces set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_sessions_updated_at after update on sessions
    when new.updated_at is old.updated_at
begin
    update sessions set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_messages_updated_at after update on messages
    when new.updated_at is old.updated_at
begin
    update messages set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_parts_updated_at after update on parts
    when new.updated_at is old.updated_at
begin
    update parts set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_spokes_updated_at after update on spokes
    when new.updated_at is old.updated_at
begin
    update spokes set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_operations_updated_at after update on operations
    when new.updated_at is old.updated_at
begin
    update operations set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_operation_registrations_updated_at after update on operation_registrations
    when new.updated_at is old.updated_at
begin
    update operation_registrations set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_clients_updated_at after update on clients
    when new.updated_at is old.updated_at
begin
    update clients set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_client_secrets_updated_at after update on client_secrets
    when new.updated_at is old.updated_at
begin
    update client_secrets set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_roles_updated_at after update on roles
    when new.updated_at is old.updated_at
begin
    update roles set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_tasks_updated_at after update on tasks
    when new.updated_at is old.updated_at
begin
    update tasks set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_task_dependencies_updated_at after update on task_dependencies
    when new.updated_at is old.updated_at
begin
    update task_dependencies set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_mappings_updated_at after update on mappings
    when new.updated_at is old.updated_at
begin
    update mappings set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_detections_updated_at after update on detections
    when new.updated_at is old.updated_at
begin
    update detections set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_call_graph_nodes_updated_at after update on call_graph_nodes
    when new.updated_at is old.updated_at
begin
    update call_graph_nodes set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_call_graph_edges_updated_at after update on call_graph_edges
    when new.updated_at is old.updated_at
begin
    update call_graph_edges set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;
create trigger trg_audit_logs_updated_at after update on audit_logs
    when new.updated_at is old.updated_at
begin
    update audit_logs set updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'),
        strftime('%Y-%m-%dT%H:%M:%f+00:00', old.updated_at, '+0.001 seconds')
    ) where id = new.id;
end;

-- 5. Columns that never change
create trigger trg_accounts_immutable before update of id, created_at on accounts
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:accounts.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:accounts.created_at')
    end;
end;
create trigger trg_organizations_immutable before update of id, created_at on organizations
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:organizations.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:organizations.created_at')
    end;
end;
create trigger trg_organization_members_immutable before update of id, created_at on organization_members
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:organization_members.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:organization_members.created_at')
    end;
end;
create trigger trg_api_keys_immutable before update of id, created_at, key_hash, owner_id on api_keys
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.key_hash is not old.key_hash
        or new.owner_id is not old.owner_id
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:api_keys.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:api_keys.created_at')
        when new.key_hash is not old.key_hash then raise(abort, 'alkhub:immutable:api_keys.key_hash')
        when new.owner_id is not old.owner_id then raise(abort, 'alkhub:immutable:api_keys.owner_id')
    end;
end;
create trigger trg_projects_immutable before update of id, created_at on projects
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:projects.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:projects.created_at')
    end;
end;
create trigger trg_workspaces_immutable before update of id, created_at on workspaces
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:workspaces.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:workspaces.created_at')
    end;
end;
create trigger trg_sessions_immutable before update of id, created_at on sessions
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:sessions.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:sessions.created_at')
    end;
end;
create trigger trg_messages_immutable before update of id, created_at, session_id on messages
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.session_id is not old.session_id
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:messages.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:messages.created_at')
        when new.session_id is not old.session_id then raise(abort, 'alkhub:immutable:messages.session_id')
    end;
end;
create trigger trg_parts_immutable before update of id, created_at, session_id, message_id on parts
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.session_id is not old.session_id
        or new.message_id is not old.message_id
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:parts.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:parts.created_at')
        when new.session_id is not old.session_id then raise(abort, 'alkhub:immutable:parts.session_id')
        when new.message_id is not old.message_id then raise(abort, 'alkhub:immutable:parts.message_id')
    end;
end;
create trigger trg_spokes_immutable before update of id, created_at on spokes
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:spokes.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:spokes.created_at')
    end;
end;
create trigger trg_operations_immutable before update of id, created_at on operations
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:operations.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:operations.created_at')
    end;
end;
create trigger trg_operation_registrations_immutable before update of id, created_at, operation_id, provider_type, provider_id on operation_registrations
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.operation_id is not old.operation_id
        or new.provider_type is not old.provider_type
        or new.provider_id is not old.provider_id
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:operation_registrations.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:operation_registrations.created_at')
        when new.operation_id is not old.operation_id then raise(abort, 'alkhub:immutable:operation_registrations.operation_id')
        when new.provider_type is not old.provider_type then raise(abort, 'alkhub:immutable:operation_registrations.provider_type')
        when new.provider_id is not old.provider_id then raise(abort, 'alkhub:immutable:operation_registrations.provider_id')
    end;
end;
create trigger trg_clients_immutable before update of id, created_at on clients
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:clients.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:clients.created_at')
    end;
end;
create trigger trg_client_secrets_immutable before update of id, created_at on client_secrets
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:client_secrets.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:client_secrets.created_at')
    end;
end;
create trigger trg_roles_immutable before update of id, created_at on roles
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:roles.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:roles.created_at')
    end;
end;
create trigger trg_tasks_immutable before update of id, created_at on tasks
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:tasks.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:tasks.created_at')
    end;
end;
create trigger trg_task_dependencies_immutable before update of id, created_at, depends_on_task_id, dependent_task_id on task_dependencies
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.depends_on_task_id is not old.depends_on_task_id
        or new.dependent_task_id is not old.dependent_task_id
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:task_dependencies.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:task_dependencies.created_at')
        when new.depends_on_task_id is not old.depends_on_task_id then raise(abort, 'alkhub:immutable:task_dependencies.depends_on_task_id')
        when new.dependent_task_id is not old.dependent_task_id then raise(abort, 'alkhub:immutable:task_dependencies.dependent_task_id')
    end;
end;
create trigger trg_mappings_immutable before update of id, created_at on mappings
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:mappings.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:mappings.created_at')
    end;
end;
create trigger trg_detections_immutable before update of id, created_at on detections
    when new.id is not old.id
        or new.created_at is not old.created_at
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:detections.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:detections.created_at')
    end;
end;
create trigger trg_call_graph_nodes_immutable before update of id, created_at, request_id, operation_id on call_graph_nodes
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.request_id is not old.request_id
        or (new.operation_id is not old.operation_id and new.operation_id <> '__removed__')
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:call_graph_nodes.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:call_graph_nodes.created_at')
        when new.request_id is not old.request_id then raise(abort, 'alkhub:immutable:call_graph_nodes.request_id')
        when (new.operation_id is not old.operation_id and new.operation_id <> '__removed__') then raise(abort, 'alkhub:immutable:call_graph_nodes.operation_id')
    end;
end;
create trigger trg_call_graph_edges_immutable before update of id, created_at, source_id, target_id, edge_type on call_graph_edges
    when new.id is not old.id
        or new.created_at is not old.created_at
        or new.source_id is not old.source_id
        or new.target_id is not old.target_id
        or new.edge_type is not old.edge_type
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:call_graph_edges.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:call_graph_edges.created_at')
        when new.source_id is not old.source_id then raise(abort, 'alkhub:immutable:call_graph_edges.source_id')
        when new.target_id is not old.target_id then raise(abort, 'alkhub:immutable:call_graph_edges.target_id')
        when new.edge_type is not old.edge_type then raise(abort, 'alkhub:immutable:call_graph_edges.edge_type')
    end;
end;

-- Edges of the task graph are checked on insert only, so a task that has some stays in its project.
create trigger trg_tasks_project before update of project_id on tasks
    when new.project_id is not old.project_id and exists (
        select 1 from task_dependencies
        where depends_on_task_id = old.id or dependent_task_id = old.id
    )
begin
    select raise(abort, 'alkhub:immutable:tasks.project_id');
end;

-- The audit log is append-only. Exceptions: a foreign key may set its column to null, updated_at may
-- move with it, metadata may gain the key chain once (sealing), and rows may go while the retention
-- job's switch stands in hub_meta (put and removed in the job's own transaction).
create trigger trg_audit_logs_immutable before update on audit_logs
begin
    select case
        when new.id is not old.id then raise(abort, 'alkhub:immutable:audit_logs.id')
        when new.created_at is not old.created_at then raise(abort, 'alkhub:immutable:audit_logs.created_at')
        when new.owner_id is not old.owner_id then raise(abort, 'alkhub:immutable:audit_logs.owner_id')
        when new.action is not old.action then raise(abort, 'alkhub:immutable:audit_logs.action')
        when new.details is not old.details then raise(abort, 'alkhub:immutable:audit_logs.details')
        when new.key_id is not old.key_id and new.key_id is not null
            then raise(abort, 'alkhub:immutable:audit_logs.key_id')
        when new.session_id is not old.session_id and new.session_id is not null
            then raise(abort, 'alkhub:immutable:audit_logs.session_id')
        when new.org_id is not old.org_id and new.org_id is not null
            then raise(abort, 'alkhub:immutable:audit_logs.org_id')
        when json_remove(coalesce(new.metadata, '{}'), '$.chain')
                is not json_remove(coalesce(old.metadata, '{}'), '$.chain')
            or (json_type(old.metadata, '$.chain') is not null
                and new.metadata -> '$.chain' is not old.metadata -> '$.chain')
            then raise(abort, 'alkhub:immutable:audit_logs.metadata')
    end;
end;
create trigger trg_audit_logs_delete before delete on audit_logs
    when not exists (select 1 from hub_meta where "key" = 'audit.prune')
begin
    select raise(abort, 'alkhub:immutable:audit_logs.*');
end;

-- 6. Rules between tables

-- The owner of an organization is always a member of level owner. While the organization or the
-- account itself is being deleted its row is already gone, and the foreign keys decide.
create trigger trg_organization_members_owner_delete before delete on organization_members
    when old.membership_level = 'owner' and exists (
        select 1 from organizations join accounts on accounts.id = organizations.owner_id
        where organizations.id = old.org_id and organizations.owner_id = old.account_id
    )
begin
    select raise(abort, 'alkhub:rule:last_owner');
end;
create trigger trg_organization_members_owner_update before update on organization_members
    when old.membership_level = 'owner' and (
        new.membership_level <> 'owner'
        or new.org_id <> old.org_id
        or new.account_id <> old.account_id
    ) and exists (
        select 1 from organizations join accounts on accounts.id = organizations.owner_id
        where organizations.id = old.org_id and organizations.owner_id = old.account_id
    )
begin
    select raise(abort, 'alkhub:rule:last_owner');
end;
create trigger trg_organizations_owner before update of owner_id on organizations
    when new.owner_id is not old.owner_id and not exists (
        select 1 from organization_members
        where org_id = new.id and account_id = new.owner_id and membership_level = 'owner'
    )
begin
    select raise(abort, 'alkhub:rule:owner_not_member');
end;

-- A part lies in the session of its message. A missing message is left to the foreign key.
create trigger trg_parts_session before insert on parts
    when exists (select 1 from messages where id = new.message_id and session_id <> new.session_id)
begin
    select raise(abort, 'alkhub:rule:foreign_message');
end;

-- A provider exists when it registers, and its registrations go with it. Unknown types are left to
-- the check.
create trigger trg_operation_registrations_provider before insert on operation_registrations
    when not case new.provider_type
        when 'spoke' then exists (select 1 from spokes where id = new.provider_id)
        when 'client' then exists (select 1 from clients where id = new.provider_id)
        else true
    end
begin
    select raise(abort, 'alkhub:rule:unknown_provider');
end;
create trigger trg_spokes_delete_registrations after delete on spokes
begin
    delete from operation_registrations where provider_type = 'spoke' and provider_id = old.id;
end;
create trigger trg_clients_delete_registrations after delete on clients
begin
    delete from operation_registrations where provider_type = 'client' and provider_id = old.id;
end;

-- mappings.task caches the slug of a task. A trigger, because tasks also go by cascade from projects.
create trigger trg_tasks_forget_mapping_text before delete on tasks
begin
    update mappings set task = null where task_id = old.id;
end;

-- Both ends of a dependency lie in one project. Missing tasks are left to the foreign keys.
create trigger trg_task_dependencies_project before insert on task_dependencies
    when (
        select count(distinct project_id) from tasks
        where id in (new.depends_on_task_id, new.dependent_task_id)
    ) > 1
begin
    select raise(abort, 'alkhub:rule:other_project');
end;

-- 7. Ready tasks
--
-- A task can be begun when it is pending and every prerequisite is completed. The view says which tasks
-- these are and where each stands among those offered; one that is never due stands last.
create view hub_startable_tasks as
select
    t.id as task_id,
    t.project_id,
    case t.priority when 'critical' then 0 when 'high' then 1 when 'medium' then 2 when 'low' then 3 else 4 end
        as priority_rank,
    coalesce(t.due_at, 'never') as due_at,
    t.slug
from tasks t
where t.status = 'pending'
    and not exists (
        select 1 from task_dependencies d join tasks p on p.id = d.depends_on_task_id
        where d.dependent_task_id = t.id and p.status <> 'completed'
    );

-- The rows of the view, so that a page of them is read from an index however many tasks wait. Triggers
-- keep it true; nothing else writes it.
create table hub_ready_tasks (
    task_id TEXT not null primary key,
    project_id TEXT not null,
    priority_rank INTEGER not null,
    due_at TEXT not null,
    slug TEXT not null
) without rowid;
create index hub_idx_ready_tasks_order on hub_ready_tasks (project_id, priority_rank, due_at, slug);

-- A task that was not there waits for nothing.
create trigger hub_ready_tasks_new after insert on tasks
    when new.status = 'pending'
begin
    insert into hub_ready_tasks values (
        new.id,
        new.project_id,
        case new.priority when 'critical' then 0 when 'high' then 1 when 'medium' then 2 when 'low' then 3 else 4 end,
        coalesce(new.due_at, 'never'),
        new.slug
    );
end;
create trigger hub_ready_tasks_gone after delete on tasks
begin
    delete from hub_ready_tasks where task_id = old.id;
end;
create trigger hub_ready_tasks_changed after update of status, priority, due_at, slug, project_id on tasks
    when (old.status = 'pending') <> (new.status = 'pending')
        or new.status = 'pending' and (
            new.priority is not old.priority or new.due_at is not old.due_at
            or new.slug is not old.slug or new.project_id is not old.project_id
        )
begin
    delete from hub_ready_tasks where task_id = new.id;
    insert into hub_ready_tasks select * from hub_startable_tasks where task_id = new.id;
end;
-- What waits for a task that was completed, or that no longer is.
create trigger hub_ready_tasks_completed after update of status on tasks
    when (old.status = 'completed') <> (new.status = 'completed')
begin
    delete from hub_ready_tasks
    where task_id in (select dependent_task_id from task_dependencies where depends_on_task_id = new.id);
    insert into hub_ready_tasks
    select s.* from task_dependencies d cross join hub_startable_tasks s
    where d.depends_on_task_id = new.id and s.task_id = d.dependent_task_id;
end;
create trigger hub_ready_tasks_edge_new after insert on task_dependencies
begin
    delete from hub_ready_tasks
    where task_id = new.dependent_task_id
        and (select status from tasks where id = new.depends_on_task_id) <> 'completed';
end;
create trigger hub_ready_tasks_edge_gone after delete on task_dependencies
begin
    insert into hub_ready_tasks
    select * from hub_startable_tasks s
    where s.task_id = old.dependent_task_id
        and not exists (select 1 from hub_ready_tasks r where r.task_id = s.task_id);
end;

-- 8. The sentinel operation
--
-- Records of a removed operation are moved to this row. It can be neither called nor changed.
insert into operations (
    id, namespace, name, version, "type", description, input_schema, output_schema, access_control
) values (
    '__removed__', 'system', 'removed', '0.0.0', 'query', 'removed operation',
    '{}', '{}', '{"requiredScopes": ["system:never"]}'
);
create trigger trg_operations_sentinel_update before update on operations
    when old.id = '__removed__'
begin
    select raise(abort, 'alkhub:rule:sentinel');
end;
create trigger trg_operations_sentinel_delete before delete on operations
    when old.id = '__removed__'
begin
    select raise(abort, 'alkhub:rule:sentinel');
end;
