//! The policy that answers, until another takes its place.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hikyaku::policy::{Change, Limits, Policy, Stage};
use hikyaku::{Address, Current, Delegate, DelegateOptions, Delegated, DelegationAction, DelegationRequest, now};
use serde_json::json;

use crate::report::Problem;
use crate::{described, source};

/// What all connections share.
pub(super) struct Engine {
    file: PathBuf,
    policy: Current<Policy>,
    delegate: Mutex<Delegate>,
    options: DelegateOptions,
    /// Whether decisions are told as JSON.
    json: bool,
}

impl Engine {
    pub(super) fn load(file: PathBuf, options: DelegateOptions, json: bool) -> Result<Self, Problem> {
        let policy = Current::new(admitted(&file)?);
        Ok(Self { file, policy, delegate: Mutex::new(Delegate::new(options.clone())), options, json })
    }

    /// Says where it listens, what is permitted, and what Postfix does not tell.
    pub(super) fn announce(&self, address: &Address) {
        let policy = self.policy.get();
        match policy.grid(&Limits::default()) {
            Ok(grid) => println!("{grid}"),
            Err(complex) => println!("what is permitted in all is {complex}"),
        }
        unmet(&policy, &self.options).iter().for_each(|note| println!("note: {note}"));
        println!("listening on {address}");
    }

    /// Reads the policy again; one that must not be used changes nothing.
    pub(super) fn reload(&self) {
        let new = match admitted(&self.file) {
            Ok(new) => new,
            Err(problem) => {
                eprintln!("policy: {problem}\npolicy: the policy stays as it was");
                return;
            }
        };
        let old = self.policy.get();
        self.policy.set(new);
        let new = self.policy.get();
        match old.diff(&new, &Limits::default()) {
            Ok(changes) if changes.is_empty() => println!("reloaded: every mail is decided as before"),
            Ok(changes) => println!("reloaded: {} changes\n{}", changes.len(), Change::table(&changes)),
            Err(complex) => println!("reloaded; what has changed is {complex}"),
        }
        unmet(&new, &self.options).iter().for_each(|note| println!("note: {note}"));
    }

    pub(super) fn answer(&self, request: &DelegationRequest) -> DelegationAction {
        let (policy, time) = (self.policy.get(), now());
        let mut delegate = self.delegate.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = match delegate.facts(request, time) {
            Ok(facts) => delegate.answer(&policy, request, facts, time),
            Err(reply) => return DelegationAction::Reply(reply),
        };
        drop(delegate);
        let Delegated { action, decision, .. } = answered;
        if let (Some((decision, facts)), true) = (decision, self.json) {
            let mut object = described::decision(&policy, &decision);
            object["action"] = action.to_string().trim_end().into();
            object["state"] = json!(request.text("protocol_state"));
            object["instance"] = json!(request.text("instance"));
            object["facts"] = described::facts(&facts);
            println!("{object}");
        }
        action
    }
}

fn admitted(file: &Path) -> Result<Policy, Problem> {
    let policy = source::parse(file)?;
    policy.admit(&Limits::default()).map_err(|rejection| Problem(source::rejected(file, &rejection)))?;
    Ok(policy)
}

/// What a policy asks for that Postfix does not say, and what that comes to.
fn unmet(policy: &Policy, options: &DelegateOptions) -> Vec<String> {
    let asks = policy.asks();
    let mut notes = Vec::new();
    let mut note = |is_asked: bool, text: &str| notes.extend(is_asked.then(|| text.to_owned()));
    note(
        !asks.listed.is_empty(),
        "lists of addresses are not asked here: nobody is listed (reject_rbl_client of Postfix asks them)",
    );
    note(asks.spf, "SPF is not looked up here: it is unknown");
    note(
        asks.owned,
        "whose an address is is not known here: `sender owned` is unknown (smtpd_sender_login_maps of Postfix knows)",
    );
    note(asks.exists, "whether a mailbox exists is not known here: `recipient exists` is unknown");
    note(
        asks.dkim || asks.arc || asks.dmarc || asks.aligned,
        "messages are not seen here: DKIM, ARC, DMARC and the author are unknown",
    );
    note(!asks.custom.is_empty(), "custom conditions are unknown here");
    note(asks.iprev, "Postfix does not say why a client has no confirmed name: `iprev` is then unknown");
    note(policy.routes().next().is_some(), "routes are those of Postfix: `via` is not passed on");
    let asks_message = |rule: &hikyaku::policy::Rule| {
        rule.at == Some(Stage::Message) || rule.when.tests().iter().any(|test| test.stage() == Stage::Message)
    };
    let asks_message = policy.rules().iter().any(asks_message);
    note(
        asks_message && !options.end_of_data,
        "rules about messages need `check_policy_service` in smtpd_end_of_data_restrictions too, and --end-of-data here",
    );
    notes
}
