//! RFC 8601: the tests of go-msgauth, whose names of the properties are fields of a library.

use hikyaku_message::results::AuthenticationResults;
use serde_json::{Map, Value, json};

use crate::{Wrong, run};

const WRONG: &[Wrong] = &[(
    "go-msgauth parse_test.go-10",
    "RFC 8601 §2.2: authres-header-field begins with an authserv-id, which is a value and not empty",
)];

#[test]
fn every_row_of_the_suite() {
    run("authres", WRONG, |row| {
        let header = row.text("header");
        let value = header.strip_prefix("Authentication-Results:").expect("the field");
        let field = AuthenticationResults::parse(value.as_bytes()).map_err(|error| error.to_string())?;
        let results = field.results().iter().map(|info| {
            let method = info.method().as_str();
            let mut fields = Map::new();
            if let Some(reason) = info.reason() {
                fields.insert("Reason".to_owned(), reason.as_str().into());
            }
            for property in info.properties() {
                let name = format!("{}.{}", property.ptype().map_or("", |ptype| ptype.as_str()), property.property());
                let value = property.value().as_str();
                match (method, &*name) {
                    ("auth", "smtp.auth") => fields.insert("Auth".to_owned(), value.into()),
                    ("spf", "smtp.mailfrom") => fields.insert("From".to_owned(), value.into()),
                    ("dkim", "header.i") => fields.insert("Identifier".to_owned(), value.into()),
                    ("sender-id", "header.from") => {
                        fields.insert("HeaderKey".to_owned(), "from".into());
                        fields.insert("HeaderValue".to_owned(), value.into())
                    }
                    _ => fields.insert(name, value.into()),
                };
            }
            json!({ "method": method, "result": info.result().as_str(), "fields": fields })
        });
        let got = json!({ "authserv_id": field.authserv_id().as_str(), "results": results.collect::<Vec<Value>>() });
        if got == row.value["expected"] {
            Ok(())
        } else {
            Err(format!("expected {}, got {got}", row.value["expected"]))
        }
    });
}
