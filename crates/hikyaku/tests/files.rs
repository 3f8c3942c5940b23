//! A process that has no file descriptor left. It is a process of its own: the limit holds for all
//! of it.

use std::{fs::File, sync::Arc, time::Duration};

use hikyaku::{
    Gate, GateLimits, Handler, Listener, Service, Stopper, serve,
    session::server::{Config, Session},
    wire::Reply,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::sleep,
};

struct Polite;

impl Handler for Polite {
    type Mail = ();

    async fn connect(&mut self, _: &Session) -> Reply {
        Reply::OK_250
    }
}

async fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn c1_24_without_file_descriptors_the_idle_go_and_who_waits_is_served() {
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.address().to_string();
    let gate = Arc::new(Gate::new(GateLimits::default()));
    let service = Service { session: Arc::new(Config::new("mx.test")), tls: None, gate };
    let (stopper, stop) = Stopper::new();
    let running = tokio::spawn(serve(listener, service, || Polite, stop));
    let connect = async || TcpStream::connect(&address).await.map(BufReader::new);

    let mut idle = connect().await.unwrap();
    assert_eq!(line(&mut idle).await, "220 mx.test ESMTP\r\n");
    // From now on the process can open three more: two clients, and the server's side of one.
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) }).unwrap();
    let mut files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - 3);
    let mut second = connect().await.unwrap();
    assert_eq!(line(&mut second).await, "220 mx.test ESMTP\r\n");
    let mut waiting = connect().await.unwrap();
    assert!(connect().await.is_err(), "nothing is left");

    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert!(line(&mut idle).await.starts_with("421 4.4.2 "));
    assert!(began.elapsed() <= Duration::from_secs(12), "{:?}", began.elapsed());
    drop(idle);
    // It is accepted as soon as the server has closed its side of a connection.
    assert_eq!(line(&mut waiting).await, "220 mx.test ESMTP\r\n");
    tokio::time::resume();

    // The server is as it was.
    drop((second, waiting));
    let greeted = async {
        loop {
            match connect().await {
                Ok(mut client) => break line(&mut client).await,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), greeted).await.unwrap(), "220 mx.test ESMTP\r\n");
    stopper.stop();
    running.await.unwrap();
}
