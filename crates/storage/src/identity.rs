//! Accounts, organizations, their members, API keys and the audit trail.

mod accounts;
mod audit;
mod keys;
mod organizations;
mod sealing;

pub use accounts::{
    AccountChanges, AccountDeletion, AccountFilter, NewAccount, account_by_email, account_by_id,
    account_visible, accounts_by_gitea_username, accounts_by_ids, anonymise_account,
    count_accounts_by_status, count_live_admins, create_account, delete_account,
    first_active_admin, lock_account, search_accounts, set_account_status, update_account,
};
pub use audit::{AuditFilter, NewAuditEntry, append_audit, audit_by_id, list_audit, prune_audit};
pub use keys::{
    KeyChanges, KeyFilter, NewApiKey, api_key_by_hash, api_key_by_id, api_keys_disabled,
    api_keys_expiring, api_keys_of, count_live_keys, create_api_key, key_chain, list_api_keys,
    revoke_keys, rotate_api_key, set_key_enabled, touch_keys, update_api_key,
};
pub use organizations::{
    Detached, Member, Membership, NewOrganization, OrganizationChanges, OrganizationFilter,
    add_member, count_organizations, create_organization, delete_organization, list_organizations,
    load_members, members_of, membership, organization_by_id, organization_by_slug,
    organizations_by_gitea_name, organizations_of, organizations_owned_by, remove_member,
    set_member_level, transfer_ownership, update_organization,
};
pub use sealing::{AuditFault, AuditFaultKind, AuditVerification, seal_audit, verify_audit};
