use crate::{Policy, TextError};

fn parse(text: &str) -> Result<Policy, TextError> {
    Policy::parse(text, &mut |file| match file {
        "partners.txt" => {
            Ok("# partners\npartner.example\r\n\n  *.partner.example # and all below\nlocalhost\n".to_owned())
        }
        "staff.txt" => Ok("alice\n\"bob the builder\"\ncarol@example.org\n".to_owned()),
        "bad.txt" => Ok("good.example\n\nfoo*.example\n".to_owned()),
        "two.txt" => Ok("a.example b.example\n".to_owned()),
        _ => Err("no such file".to_owned()),
    })
}

fn policy(text: &str) -> Policy {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn assert_round_trip(policy: &Policy) {
    let printed = policy.to_string();
    let again = parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(&again, policy, "{printed}");
    assert_eq!(again.to_string(), printed);
    assert_eq!(crate::PolicyBuilder::from(policy.clone()).build().as_ref(), Ok(policy));
}

/// All that the language has.
const WHOLE: &str = r#"open
# who we are
# (two lines)
local domains ours = example.org, *.example.org, "localhost", bücher.example, [192.0.2.1]
relay domains partners = partner.net, file "partners.txt"
domains blocked = none
trusted networks office = 10.0.0.0/8,
   2001:db8:12::/48   # the new building
trusted wide networks all = 0.0.0.0/0
networks bad = 203.0.113.7, ::1
trusted names printers = *.printers.example
names friends = *, [IPv6:2001:db8::1]
users staff = "alice", "bob \"the\" \\ builder", file "staff.txt"
certificates servers = spki "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ca "relay.example.org"
strangers from 172.17.0.1, fd00::1
strangers from 172.17.0.2
accounts open to anyone
credential custom vpn

# lists
refuse 550 5.7.1 "listed, see https://bl.example/%{ip}" when listed zen.example >= 3 or listed "localhost" >= -1
refuse when listed bl.example (unknown means yes)
refuse "no" when helo friends or helo foo.example or helo "localhost" or name printers or name *.example
refuse 553 when sender blocked or sender null or sender mailbox "\"a b\"@example.org" or sender owned
defer 450 4.7.1 "greylisted" when not authenticated and not known
defer when iprev fail, permerror and (spf softfail, none or not (tls and not on mx, submission))
"#;

#[test]
fn the_whole_language_prints_and_parses() {
    let text = WHOLE.replace("on mx, submission", "on submissions");
    let rest = r#"
limit 100/h per ip when from office or from 192.0.2.0/24 or from ::1
limit 5/s per network at recipient
shadow limit 7/d per domain when recipients > 100
quarantine when dmarc quarantine, reject
quarantine "odd" when size > 10M or size > 1000 or size > 3G or size > 0 or hops > 30
tag "x" at message when dkim pass, policy, neutral and arc fail and author aligned and dmarc fail, permerror, none, pass
shadow permit via smarthost at mail when authenticated as staff
permit when to ours or to partners or to anywhere or to * or to *.x.example or to mailbox "abuse@example.org"
permit when certificate any or certificate servers or certificate spki "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
permit when hours 22:00-06:30 and rate < 18446744073709551615/m per sender and rate < 1/h per user
permit when custom odd (unknown means no) and not recipient exists
# claims
never permit when not authenticated and sender ours
always refuse when sender blocked
never defer when to anywhere
# the end
"#;
    let policy = policy(&format!("{text}{rest}"));
    assert_round_trip(&policy);
    assert_eq!((policy.lists().len(), policy.rules().len(), policy.claims().len()), (10, 17, 3));
}
