//! Which lists of networks hold a client address.

use std::net::IpAddr;

use super::{Class, Classes};
use crate::Network;

/// For each family the addresses at which the class changes, in order, and the class from there.
#[derive(Default)]
pub(crate) struct Clients {
    pub(crate) classes: Classes,
    v4: (Vec<u32>, Vec<Class>),
    v6: (Vec<u128>, Vec<Class>),
}

/// A network as its first and its last address, and the bit of a set that it is in.
type Span = (u128, u128, usize);

impl Clients {
    /// `all` gives each network of each set, with the set's bit.
    pub(super) fn new(sets: usize, all: impl FnOnce(&mut dyn FnMut(&Network, usize))) -> Self {
        let (mut v4, mut v6): (Vec<Span>, Vec<Span>) = Default::default();
        all(&mut |network, bit| {
            let (family, width, first) = match network.address() {
                IpAddr::V4(address) => (&mut v4, 32, u128::from(address.to_bits())),
                IpAddr::V6(address) => (&mut v6, 128, address.to_bits()),
            };
            let host = u128::MAX.checked_shr(128 - width + u32::from(network.prefix())).unwrap_or(0);
            family.push((first, first | host, bit));
        });
        let mut classes = Classes::new(sets);
        let (starts, of) = changes(v4, &mut classes);
        // No IPv4 network ends after 2^32 - 1, where at most the class of nothing begins.
        let starts: Vec<u32> = starts.into_iter().filter_map(|start| u32::try_from(start).ok()).collect();
        let v4 = (starts, of);
        let v6 = changes(v6, &mut classes);
        Self { classes: classes.finished(), v4, v6 }
    }

    /// The class of an address; an IPv4-mapped IPv6 address is the IPv4 address.
    pub(crate) fn class(&self, address: IpAddr) -> Class {
        match address.to_canonical() {
            IpAddr::V4(address) => at(&self.v4, address.to_bits()),
            IpAddr::V6(address) => at(&self.v6, address.to_bits()),
        }
    }
}

fn at<T: Ord + Copy>((starts, classes): &(Vec<T>, Vec<Class>), address: T) -> Class {
    let after = starts.partition_point(|start| *start <= address);
    after.checked_sub(1).and_then(|at| classes.get(at)).copied().unwrap_or(0)
}

/// Networks are nested or apart: those around an address are a stack.
fn changes(mut networks: Vec<Span>, classes: &mut Classes) -> (Vec<u128>, Vec<Class>) {
    networks.sort_unstable_by_key(|(first, last, bit)| (*first, std::cmp::Reverse(*last), *bit));
    let mut around: Vec<(u128, Class)> = Vec::new();
    let (mut starts, mut of): (Vec<u128>, Vec<Class>) = Default::default();
    let mut change = |start: u128, class: Class| match starts.last() {
        Some(last) if *last == start => of.iter_mut().next_back().into_iter().for_each(|of| *of = class),
        _ => {
            starts.push(start);
            of.push(class);
        }
    };
    let class_of = |around: &[(u128, Class)]| around.last().map_or(0, |(_, class)| *class);
    for (first, last, bit) in networks {
        while let Some((end, _)) = around.pop_if(|(end, _)| *end < first) {
            change(end + 1, class_of(&around));
        }
        let class = classes.with(class_of(&around), [bit]);
        around.push((last, class));
        change(first, class);
    }
    while let Some((end, _)) = around.pop() {
        if let Some(after) = end.checked_add(1) {
            change(after, class_of(&around));
        }
    }
    (starts, of)
}
