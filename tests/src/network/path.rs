//! One connection through the network.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::{Fate, Shared, frame};

/// Passes commands and answers until one side closes, or the fate of an answer is to be lost.
pub async fn pass(mut client: TcpStream, mut redis: TcpStream, made: u32, shared: &Shared) {
    let mut cut = shared.cut.subscribe();
    let (mut asked, mut answered) = (BytesMut::new(), BytesMut::new());
    // Of each command under way, what it calls. Messages to subscribers answer nothing and are passed as they come.
    let mut calls: VecDeque<String> = VecDeque::new();
    let mut subscribed = false;
    let mut held_until: Option<Instant> = None;
    let mut held = BytesMut::new();
    loop {
        if cut.borrow_and_update().now && cut.wait_for(|cut| !cut.now).await.is_err() {
            return;
        }
        let state = *cut.borrow();
        if state.resets && state.times > made {
            return;
        }
        let release = held_until.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            changed = cut.changed() => if changed.is_err() { return },
            () = sleep_until(release) => {
                held_until = None;
                if client.write_all(&held.split()).await.is_err() {
                    return;
                }
            }
            read = client.read_buf(&mut asked) => {
                let Ok(1..) = read else { return };
                if !subscribed {
                    while let Some(length) = frame::whole(&asked) {
                        let name = shared.calls.name(&asked[..length]);
                        subscribed |= name.ends_with("subscribe");
                        calls.push_back(name);
                        if redis.write_all(&asked[..length]).await.is_err() {
                            return;
                        }
                        asked.advance(length);
                    }
                } else if redis.write_all(&asked.split()).await.is_err() {
                    return;
                }
            }
            read = redis.read_buf(&mut answered) => {
                let Ok(1..) = read else { return };
                let mut passed = BytesMut::new();
                let mut lost = false;
                while !subscribed && let Some(length) = frame::whole(&answered) {
                    let answer = answered.split_to(length);
                    let call = calls.pop_front().unwrap_or_default();
                    let fate = if held_until.is_some() { Fate::Delivered } else { shared.fate(&call) };
                    match fate {
                        Fate::Delivered => {}
                        Fate::Lost => {
                            lost = true;
                            break;
                        }
                        Fate::Slow(how_long) => {
                            if client.write_all(&passed.split()).await.is_err() {
                                return;
                            }
                            held_until = Some(Instant::now() + how_long);
                        }
                    }
                    passed.extend_from_slice(&answer);
                }
                if subscribed {
                    passed.extend_from_slice(&answered.split());
                }
                if held_until.is_some() {
                    held.extend_from_slice(&passed);
                } else if client.write_all(&passed).await.is_err() {
                    return;
                }
                if lost {
                    return;
                }
            }
        }
    }
}
