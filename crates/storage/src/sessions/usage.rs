//! Running totals of a session.

use sea_orm::{ActiveModelTrait, ConnectionTrait, Set};

use crate::entity::{messages, sessions};
use crate::enums::MessageRole;
use crate::error::StorageError;
use crate::json::{MessageData, SessionUsage, Tokens};
use crate::time;

/// What a message counts for in the totals of its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    messages: u64,
    /// Millionths of a US dollar: sums of doubles would drift.
    cost_micros: i64,
    tokens: Tokens,
}

impl Counted {
    /// Nothing until the message is completed, and nothing for the copy of a message that was counted
    /// where it came from.
    pub(super) fn of(message: &messages::Model) -> Self {
        let copied = message
            .metadata
            .get("forkedTokens")
            .is_some_and(|value| value == true);
        if message.role != MessageRole::Assistant
            || copied
            || !is_completed(message.role, &message.data)
        {
            return Self::default();
        }
        Self {
            messages: 1,
            cost_micros: micros(message.data.cost.unwrap_or_default()),
            tokens: message.data.tokens.unwrap_or_default(),
        }
    }
}

/// Whether a message takes no more parts. Only those of an assistant are ever open.
pub(super) fn is_completed(role: MessageRole, data: &MessageData) -> bool {
    let completed = data.time.as_ref().and_then(|time| time.get("completed"));
    role != MessageRole::Assistant || completed.is_some_and(|moment| !moment.is_null())
}

/// Replaces what a message counted for before by what it counts for now. The session is locked.
pub(super) async fn add(
    db: &impl ConnectionTrait,
    session: sessions::Model,
    before: Counted,
    now: Counted,
) -> Result<(), StorageError> {
    if before == now {
        return Ok(());
    }
    let mut data = session.data.unwrap_or_default();
    data.usage = Some(changed(data.usage.unwrap_or_default(), before, now));
    let row = sessions::ActiveModel {
        id: Set(session.id),
        data: Set(Some(data)),
        updated_at: Set(time::after(session.updated_at)),
        ..Default::default()
    };
    row.update(db).await?;
    Ok(())
}

fn changed(usage: SessionUsage, before: Counted, now: Counted) -> SessionUsage {
    let replace = |total: u64, old: u64, new: u64| total.saturating_sub(old).saturating_add(new);
    let mut tokens = usage.tokens;
    tokens.input = replace(tokens.input, before.tokens.input, now.tokens.input);
    tokens.output = replace(tokens.output, before.tokens.output, now.tokens.output);
    tokens.reasoning = replace(
        tokens.reasoning,
        before.tokens.reasoning,
        now.tokens.reasoning,
    );
    let (old, new) = (before.tokens.cache, now.tokens.cache);
    tokens.cache.read = replace(tokens.cache.read, old.read, new.read);
    tokens.cache.write = replace(tokens.cache.write, old.write, new.write);
    // The totals are sums of the five; a provider's own total is not carried on.
    tokens.total = None;
    let cost = micros(usage.cost) - before.cost_micros + now.cost_micros;
    SessionUsage {
        cost: cost.max(0) as f64 / 1_000_000.0,
        tokens,
        messages: replace(usage.messages, before.messages, now.messages),
    }
}

fn micros(dollars: f64) -> i64 {
    (dollars * 1_000_000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::CacheTokens;

    fn counted(cost_micros: i64, input: u64) -> Counted {
        let cache = CacheTokens { read: 1, write: 2 };
        let tokens = Tokens {
            input,
            output: 7,
            reasoning: 3,
            cache,
            total: Some(99),
        };
        Counted {
            messages: 1,
            cost_micros,
            tokens,
        }
    }

    #[test]
    fn a_correction_replaces_what_was_counted() {
        let first = changed(
            SessionUsage::default(),
            Counted::default(),
            counted(100, 10),
        );
        assert_eq!(
            (first.messages, first.tokens.input, first.cost),
            (1, 10, 0.0001)
        );
        let corrected = changed(first, counted(100, 10), counted(250, 12));
        assert_eq!((corrected.messages, corrected.tokens.input), (1, 12));
        assert_eq!(corrected.tokens.cache, CacheTokens { read: 1, write: 2 });
        assert_eq!(corrected.cost, 0.000_25);
        assert_eq!(corrected.tokens.total, None);
    }

    #[test]
    fn a_million_tiny_costs_add_up_exactly() {
        let mut usage = SessionUsage::default();
        for _ in 0..100_000 {
            usage = changed(usage, Counted::default(), counted(1, 0));
        }
        assert_eq!(usage.cost, 0.1);
    }
}
