//! The replies that this project gives, in one table (RFC 5321 §4.2.2, RFC 3463 §3, RFC 5248).
//!
//! ```
//! use hikyaku_wire::Reply;
//!
//! assert_eq!(Reply::RELAY_DENIED_550.to_string(), "550 5.7.1 relaying denied");
//! ```

use crate::{Code, EnhancedCode, Reply};

macro_rules! canon {
    ($($name:ident = $code:ident $([$class:literal $subject:literal $detail:literal])? $text:literal;)*) => {
        impl Reply {
            $(
                #[doc = concat!("`", $text, "`")]
                pub const $name: Self = {
                    #[allow(unused_mut, unused_assignments, reason = "only some rows have an enhanced code")]
                    let mut enhanced = None;
                    $(enhanced = Some(EnhancedCode::new($class, $subject, $detail));)?
                    Self::constant(Code::$code, enhanced, $text)
                };
            )*
        }

        #[cfg(test)]
        const ALL: &[Reply] = &[$(Reply::$name),*];
    };
}

canon! {
    HELP_214 = HELP_214 [2 0 0] "see RFC 5321";
    READY_TO_START_TLS_220 = GREETING_220 [2 0 0] "ready to start TLS";
    BYE_221 = BYE_221 [2 0 0] "bye";
    AUTHENTICATED_235 = AUTHENTICATED_235 [2 7 0] "authenticated";
    OK_250 = OK_250 [2 0 0] "ok";
    SENDER_OK_250 = OK_250 [2 1 0] "sender ok";
    RECIPIENT_OK_250 = OK_250 [2 1 5] "recipient ok";
    VRFY_252 = CANNOT_VERIFY_252 [2 1 5] "will not verify, but will accept mail for it if the policy permits";
    START_INPUT_354 = START_INPUT_354 "send the message, end with <CRLF>.<CRLF>";
    SHUTTING_DOWN_421 = UNAVAILABLE_421 [4 3 2] "shutting down, try again later";
    TIMEOUT_421 = UNAVAILABLE_421 [4 4 2] "nothing came for too long";
    TOO_MANY_CONNECTIONS_421 = UNAVAILABLE_421 [4 7 0] "too many connections, try again later";
    TOO_MANY_COMMANDS_421 = UNAVAILABLE_421 [4 7 0] "too many commands";
    TOO_MANY_ERRORS_421 = UNAVAILABLE_421 [4 7 0] "too many errors";
    TOO_MANY_FAILURES_421 = UNAVAILABLE_421 [4 7 0] "too many failed authentications, try again later";
    LOCAL_ERROR_451 = LOCAL_ERROR_451 [4 3 0] "local error, try again later";
    STORAGE_FULL_452 = INSUFFICIENT_STORAGE_452 [4 3 1] "no room for the message now, try again later";
    TOO_MANY_RECIPIENTS_452 = INSUFFICIENT_STORAGE_452 [4 5 3] "too many recipients, send the rest in another transaction";
    TEMPORARY_AUTHENTICATION_FAILURE_454 = TEMPORARY_AUTH_FAILURE_454 [4 7 0] "authentication is not possible now, try again later";
    TOO_MANY_FAILURES_454 = TEMPORARY_AUTH_FAILURE_454 [4 7 0] "too many failed authentications, try again later";
    LINE_TOO_LONG_500 = SYNTAX_ERROR_500 [5 5 2] "line too long";
    AUTH_LINE_TOO_LONG_500 = SYNTAX_ERROR_500 [5 5 6] "authentication exchange line is too long";
    SYNTAX_500 = SYNTAX_ERROR_500 [5 5 2] "syntax error";
    UNKNOWN_COMMAND_500 = SYNTAX_ERROR_500 [5 5 1] "command not recognized";
    PARAMETER_501 = PARAMETER_ERROR_501 [5 5 4] "syntax error in argument";
    CANCELLED_501 = PARAMETER_ERROR_501 [5 5 0] "authentication cancelled";
    NOT_IMPLEMENTED_502 = NOT_IMPLEMENTED_502 [5 5 1] "command not implemented";
    BAD_SEQUENCE_503 = BAD_SEQUENCE_503 [5 5 1] "bad sequence of commands";
    UNKNOWN_MECHANISM_504 = PARAMETER_NOT_IMPLEMENTED_504 [5 5 4] "authentication mechanism not recognized or not offered";
    ACCOUNT_DISABLED_525 = ACCOUNT_DISABLED_525 [5 7 13] "account disabled";
    AUTHENTICATION_REQUIRED_530 = AUTHENTICATION_REQUIRED_530 [5 7 0] "authentication required";
    STARTTLS_FIRST_530 = AUTHENTICATION_REQUIRED_530 [5 7 0] "encryption required, say STARTTLS first";
    AUTHENTICATION_FAILED_535 = AUTHENTICATION_FAILED_535 [5 7 8] "authentication failed";
    ENCRYPTION_REQUIRED_538 = ENCRYPTION_REQUIRED_538 [5 7 11] "encryption required for authentication";
    FROM_NOT_OWNED_550 = MAILBOX_UNAVAILABLE_550 [5 7 1] "the header From is not an address of this user";
    UTF8_SENDER_550 = MAILBOX_UNAVAILABLE_550 [5 6 7] "non-ASCII sender without SMTPUTF8";
    BARE_LINE_END_550 = MAILBOX_UNAVAILABLE_550 [5 5 2] "bare <CR> or <LF> in the message, lines end with <CRLF>";
    RELAY_DENIED_550 = MAILBOX_UNAVAILABLE_550 [5 7 1] "relaying denied";
    UNKNOWN_USER_550 = MAILBOX_UNAVAILABLE_550 [5 1 1] "no such user here";
    TOO_BIG_552 = TOO_BIG_552 [5 3 4] "message too big";
    UTF8_RECIPIENT_553 = MAILBOX_NAME_553 [5 6 7] "non-ASCII recipient without SMTPUTF8";
    SENDER_NOT_OWNED_553 = MAILBOX_NAME_553 [5 7 1] "the sender is not an address of this user";
    NO_VALID_RECIPIENTS_554 = TRANSACTION_FAILED_554 [5 5 1] "no valid recipients";
    EARLY_INPUT_554 = TRANSACTION_FAILED_554 [5 5 1] "nothing may follow STARTTLS before its answer";
    TEXT_LINE_TOO_LONG_554 = TRANSACTION_FAILED_554 [5 6 0] "a line of the message is too long";
    LOOP_554 = TRANSACTION_FAILED_554 [5 4 6] "too many hops, this message is in a loop";
    BAD_CONTENT_554 = TRANSACTION_FAILED_554 [5 6 0] "malformed message header";
    NOT_SMTP_554 = TRANSACTION_FAILED_554 [5 5 1] "this is a mail server, and that is not SMTP";
    UNKNOWN_PARAMETER_555 = UNKNOWN_PARAMETER_555 [5 5 4] "parameter not recognized or not offered";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canon_follows_its_own_rules() {
        for reply in ALL {
            if let Some(enhanced) = reply.enhanced() {
                assert_eq!(u16::from(enhanced.class()), reply.code().as_u16() / 100, "{reply}");
                assert_eq!(Reply::new(reply.code(), enhanced, reply.lines().next().unwrap().to_owned()), *reply);
            } else {
                assert!(reply.is_intermediate(), "{reply}: 2xx, 4xx and 5xx have an enhanced code");
            }
            assert!(Code::new(reply.code().as_u16()).is_some());
            assert_eq!(reply.to_string().parse().as_ref(), Ok(reply));
        }
    }
}
