//! The control socket: the queue of one task, managed over it by another.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hikyaku::{
    AuditLog, Control, ControlError, ControlSocket, Stopper,
    audit::{Entry, Event},
    control_path,
    queue::{
        Action, CountBy, Draft, Envelope, Filter, Gate, Health, HoldReason, KeyQuota, Manage, Memory, MsgId, NewRcpt,
        NewUnit, Queue, QueueError, QueueKey, SizeHint, WorkerId,
    },
    wire::Timestamp,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    task::JoinHandle,
    time::timeout,
};

const LONG: Duration = Duration::from_secs(60);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn msg(number: u16) -> MsgId {
    let mut random = [0; 10];
    random[1] = number.to_be_bytes()[0];
    random[3] = number.to_be_bytes()[1];
    MsgId::new(at(1000), random)
}

/// A queue with its control socket.
struct Site {
    folder: tempfile::TempDir,
    queue: Arc<Memory>,
    stopper: Stopper,
    serving: JoinHandle<()>,
}

impl Site {
    fn new() -> Self {
        let (folder, queue) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new()));
        let (stopper, stop) = Stopper::new();
        let socket = ControlSocket::bind(&control_path(folder.path())).unwrap();
        let audit = Arc::new(AuditLog::open(&folder.path().join("audit.jsonl")).unwrap());
        let serving = tokio::spawn(socket.serve(queue.clone(), audit, stop));
        Self { folder, queue, stopper, serving }
    }

    fn path(&self) -> PathBuf {
        control_path(self.folder.path())
    }

    async fn put(&self, number: u16, key: &str, text: &'static [u8]) {
        let mut draft = self.queue.draft(msg(number), SizeHint::UNKNOWN).await.unwrap();
        draft.write(Bytes::from_static(text)).await.unwrap();
        let unit = NewUnit::new(QueueKey::new(key), at(0), at(9_999)).with(NewRcpt::new("<b@c.test>".parse().unwrap()));
        let envelope = Envelope::new("<a@b.test>".parse().unwrap(), at(1000));
        draft.commit(envelope, Bytes::from_static(b"Received: x\r\n"), vec![unit], None).await.unwrap();
    }

    fn events(&self) -> Vec<Entry> {
        let log = fs::read(self.folder.path().join("audit.jsonl")).unwrap();
        log.split_inclusive(|byte| *byte == b'\n').map(|line| Entry::parse(line).unwrap()).collect()
    }
}

/// Says lines as they are and gives what is answered, until the relay closes.
async fn raw(site: &Site, lines: &[u8]) -> Vec<String> {
    let mut stream = UnixStream::connect(site.path()).await.unwrap();
    // The relay may close before it has read everything.
    let _ = stream.write_all(lines).await;
    let _ = stream.shutdown().await;
    let mut said = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut said)).await.expect("it closes");
    String::from_utf8(said).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_asked_over_the_socket_is_what_the_queue_says() {
    let site = Site::new();
    for number in 0..7 {
        site.put(number, if number % 2 == 0 { "mx:even.test" } else { "mx:odd.test" }, b"text").await;
    }
    let control = Control::connect(&site.path()).await.unwrap();
    assert_eq!(control.health().await.unwrap(), Health::Ok);
    for by in [CountBy::All, CountBy::Key] {
        assert_eq!(control.counts(by).await.unwrap(), site.queue.counts(by).await.unwrap());
    }
    let odd = QueueKey::new("mx:odd.test");
    let reason = HoldReason::new("looks odd");
    let quota = [KeyQuota { key: QueueKey::new("mx:even.test"), max: 1 }];
    let claimed = site.queue.claim(WorkerId::new("w"), at(1), &quota, LONG).await.unwrap();
    assert_eq!(control.apply(&Filter::key(odd.clone()), Action::Hold(reason)).await.unwrap(), 3);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = control.list(&Filter::all(), after, 2).await.unwrap();
        assert_eq!(page, site.queue.list(&Filter::all(), after, 2).await.unwrap());
        seen.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert_eq!(control.apply(&Filter::message(msg(0)), Action::Remove).await.unwrap(), 1);
    assert!(matches!(site.queue.extend(&claimed[0].lease, LONG).await, Err(QueueError::LeaseLost)));
    control.gate(&odd, Gate::Paused).await.unwrap();
    assert_eq!(control.gates(None).await.unwrap(), [(odd.clone(), Gate::Paused)]);
    assert_eq!(control.gates(Some(&QueueKey::new("x"))).await.unwrap(), []);
    control.gate(&odd, Gate::Open).await.unwrap();
    assert_eq!(site.queue.gates(None).await.unwrap(), []);

    let who =
        format!("uid {}", fs::metadata(site.folder.path()).map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap());
    let told: Vec<_> = site.events().into_iter().map(|entry| (entry.message.clone(), entry.event)).collect();
    let [(None, Event::QueueChanged(held)), (Some(of), Event::QueueChanged(removed)), pause, open] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((held.by.as_str(), held.action.as_str(), held.units), (who.as_str(), "hold", 3));
    assert_eq!((&held.selection[..], held.detail.as_deref()), (&["key=mx:odd.test".to_owned()][..], Some("looks odd")));
    assert_eq!((of.to_string(), removed.action.as_str(), removed.units), (msg(0).to_string(), "remove", 1));
    for (told, action) in [(pause, "pause"), (open, "open")] {
        assert!(matches!(&told.1, Event::QueueChanged(gate) if gate.action == action && gate.units == 0), "{told:?}");
    }
}

#[tokio::test]
async fn a_text_is_read_in_pieces() {
    let site = Site::new();
    site.put(1, "k", b"Subject: x\r\n\r\n\xff\0\x1b").await;
    let control = Control::connect(&site.path()).await.unwrap();
    let all = control.text(msg(1), 0, usize::MAX).await.unwrap();
    assert_eq!(
        (&all.before[..], &all.piece[..], all.len),
        (&b"Received: x\r\n"[..], &b"Subject: x\r\n\r\n\xff\0\x1b"[..], 17)
    );
    assert_eq!(&control.text(msg(1), 14, 2).await.unwrap().piece[..], b"\xff\0");
    assert!(control.text(msg(1), 17, 9).await.unwrap().piece.is_empty());
    assert!(matches!(control.text(msg(2), 0, 9).await, Err(QueueError::NotFound)));
}

#[tokio::test]
async fn nobody_else_can_open_it_and_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = control_path(folder.path());
    assert!(matches!(Control::connect(&path).await, Err(ControlError::NotRunning(_))));
    // One that is open to others, with a socket that a process left behind.
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(Control::connect(&path).await, Err(ControlError::NotRunning(_))));
    let first = ControlSocket::bind(&path).unwrap();
    let mode = |path: &std::path::Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    let second = ControlSocket::bind(&path).unwrap_err();
    assert!(second.to_string().starts_with("another relay runs on this folder: "), "{second}");
    assert!(Control::connect(&path).await.is_ok(), "the first one is still there");
    drop(first);
    assert!(!path.exists());
    fs::write(&path, "mail").unwrap();
    assert!(matches!(ControlSocket::bind(&path), Err(ControlError::NoSocket(_))));
    assert_eq!(fs::read(&path).unwrap(), b"mail");
    let long = folder.path().join("x".repeat(120)).join("socket");
    assert!(matches!(ControlSocket::bind(&long), Err(ControlError::Io { .. })));
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_does_no_harm() {
    let site = Site::new();
    site.put(1, "k", b"").await;
    let said = raw(
        &site,
        b"\n{}\n{\"v\":9,\"ask\":\"health\"}\n{\"v\":1,\"ask\":\"fly\"}\n\xff\n\
          {\"v\":1,\"ask\":{\"list\":{\"after\":\"x\"}}}\n\
          {\"v\":1,\"ask\":{\"apply\":{\"filter\":{\"msg\":\"x\"},\"action\":\"remove\"}}}\n\
          {\"v\":1,\"ask\":{\"apply\":{\"action\":\"remove\"}}}\n\
          {\"v\":1,\"ask\":{\"text\":{\"msg\":\"x\",\"offset\":0,\"max\":1}}}\n\
          {\"v\":1,\"ask\":\"health\"}\n{\"v\":1,\"ask\":\"health\"}",
    )
    .await;
    assert_eq!(said.len(), 10, "a line without an end is none: {said:?}");
    assert!(said[..9].iter().all(|line| line.starts_with(r#"{"error":{"kind":"request","text":""#)), "{said:?}");
    assert_eq!(said[9], r#"{"health":{"state":"ok"}}"#);
    assert_eq!(site.queue.counts(CountBy::All).await.unwrap()[0].ready, 1);
    assert!(site.events().is_empty());
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let site = Site::new();
    let long = vec![b' '; 300 * 1024];
    let said = raw(&site, &long).await;
    assert!(said.len() <= 1 && said.iter().all(|line| line.contains("too long")), "{said:?}");
    // The longest that is read.
    let mut line = br#"{"v":1,"ask":"health"}"#.to_vec();
    line.resize(64 * 1024 - 1, b' ');
    line.push(b'\n');
    assert_eq!(raw(&site, &line).await, [r#"{"health":{"state":"ok"}}"#]);
}

#[tokio::test]
async fn connections_are_bounded_and_end_with_the_relay() {
    let site = Site::new();
    let mut held = Vec::new();
    for _ in 0..16 {
        let control = Control::connect(&site.path()).await.unwrap();
        control.health().await.unwrap();
        held.push(control);
    }
    let one_more = Control::connect(&site.path()).await.unwrap();
    let error = one_more.health().await.unwrap_err().to_string();
    assert!(error.contains("too many connections"), "{error}");
    held.pop();
    let served = async {
        while Control::connect(&site.path()).await.unwrap().health().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, served).await.expect("there is room again");
    site.stopper.stop();
    timeout(LONG, site.serving).await.expect("clients that say nothing hold nothing up").unwrap();
    assert!(held[0].health().await.is_err());
    assert!(matches!(Control::connect(&control_path(site.folder.path())).await, Err(ControlError::NotRunning(_))));
}

#[tokio::test]
async fn a_call_that_is_dropped_spoils_none_that_follow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    // Answers only what the second connection asks.
    let relay = tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        let mut line = String::new();
        BufReader::new(&mut second).read_line(&mut line).await.unwrap();
        second.write_all(b"{\"done\":7}\n").await.unwrap();
        (first, second, line)
    });
    let control = Control::connect(&path).await.unwrap();
    assert!(timeout(Duration::from_millis(10), control.health()).await.is_err());
    assert_eq!(control.apply(&Filter::all(), Action::Remove).await.unwrap(), 7);
    let (.., line) = relay.await.unwrap();
    assert_eq!(line, "{\"v\":1,\"ask\":{\"apply\":{\"filter\":{},\"action\":\"remove\"}}}\n");
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error() {
    for answer in ["{\"done\":1}\n", "{}\n", "\n", "\u{1b}[2J\n", "{\"health\":{\"state\":\"ok\"}}"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let relay = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut line = String::new();
            BufReader::new(&mut stream).read_line(&mut line).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let control = Control::connect(&path).await.unwrap();
        let error = control.health().await.expect_err(answer).to_string();
        assert!(error.contains("control socket"), "{error}");
        relay.await.unwrap();
    }
}
