//! What must hold for any bytes that arrive as a frame. The fuzzer runs the same.

use alkhub_operations::protocol::{FrameLimits, Incoming, decode, encode};

/// Whatever arrives is read or refused; what is read can be written and read again.
pub(super) fn frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let limits = FrameLimits::default();
    match decode(text, &limits) {
        Ok(Incoming::Call(event)) => {
            let again = decode(&encode(&event), &limits);
            assert_eq!(again, Ok(Incoming::Call(event)));
        }
        Ok(Incoming::Control(control)) => {
            let again = decode(&control.to_text(), &limits);
            assert_eq!(again, Ok(Incoming::Control(control)));
        }
        Ok(transport @ Incoming::Transport { .. }) => {
            let _told_or_not = transport.refusal();
        }
        Err(fault) => {
            let answer = fault.answer().to_text();
            assert!(decode(&answer, &limits).is_ok(), "{answer}");
        }
    }
}
