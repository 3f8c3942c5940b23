//! Requests of many callers in one transaction.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// At most so many requests in one transaction.
const MOST: usize = 256;

/// At most so many bytes, but for one request that is longer.
const HEAVIEST: usize = 8 << 20;

/// How long a group waits for more, where the one before it had company too.
const WINDOW: Duration = Duration::from_millis(2);

/// Takes what waits, does it, and begins again, until nobody can ask any more. While one group is
/// written the next one gathers by itself.
pub(crate) async fn gather<A, F: Future<Output = ()>>(
    mut asks: Receiver<A>,
    weight: impl Fn(&A) -> usize,
    mut carry_out: impl FnMut(Vec<A>) -> F,
) {
    let mut company = false;
    let mut left = None;
    loop {
        let first = match left.take() {
            Some(ask) => ask,
            None => match asks.recv().await {
                Some(ask) => ask,
                None => return,
            },
        };
        let mut sum = weight(&first);
        let mut group = vec![first];
        let fill = async {
            while group.len() < MOST {
                let Some(ask) = asks.recv().await else { return };
                sum += weight(&ask);
                if sum > HEAVIEST {
                    left = Some(ask);
                    return;
                }
                group.push(ask);
            }
        };
        // Without company, what is there already is taken and nothing is waited for.
        if company {
            let _ = timeout(WINDOW, fill).await;
        } else {
            tokio::select! {
                biased;
                () = fill => {}
                () = std::future::ready(()) => {}
            }
        }
        company = group.len() > 1;
        carry_out(group).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_waits_goes_together_within_the_limits() {
        let (sender, receiver) = mpsc::channel(2_000);
        for n in 0..600_usize {
            sender.send(n).await.unwrap();
        }
        sender.send(HEAVIEST).await.unwrap();
        sender.send(HEAVIEST + 1).await.unwrap();
        sender.send(1).await.unwrap();
        drop(sender);
        let groups = Mutex::new(Vec::new());
        gather(receiver, |n| *n, |group: Vec<usize>| {
            groups.lock().unwrap().push(group);
            std::future::ready(())
        })
        .await;
        let groups = groups.into_inner().unwrap();
        let all: Vec<usize> = groups.concat();
        assert_eq!(all.len(), 603, "nobody is lost");
        assert!(all[..600].is_sorted() && all[600..] == [HEAVIEST, HEAVIEST + 1, 1], "nobody is overtaken");
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 88, 1, 1, 1]);
    }
}
