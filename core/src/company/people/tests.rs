use std::sync::Arc;

use super::*;
use crate::store::MemoryStore;
use crate::sync::message::{FromPhone, decode_frame, frames_up};

#[test]
fn whoever_leads_every_team_that_a_company_may_have_is_still_greeted() {
    let company = Company::open(Arc::new(MemoryStore::new()), "智康", &[7; 64]).unwrap();
    let (user, device) = (UserId([1; 8]), DeviceId([2; 8]));
    let row = UserRow { name: "王主管".into(), role: Role::Manager, team: None, active: true };
    company.put_user(user, row, 1).unwrap();
    company.put_device(device, user, "phone", 1).unwrap();
    // Past the directory, which would take a change for each.
    let team = TeamRow { name: "小组".into(), parent: None, leaders: vec![user] };
    let mut batch = Batch::new();
    let nth = |n: usize| TeamId((n as u64).to_be_bytes());
    for n in 0..limits::TEAMS_MAX {
        batch.put(keys::team(nth(n)), encode(&team));
    }
    company.store.commit_one(batch).unwrap();
    let one_more = company.put_team(nth(limits::TEAMS_MAX), team.clone(), 1);
    assert!(matches!(one_more, Err(CompanyError::Refused(_))), "{one_more:?}");
    company.put_team(nth(0), team, 1).unwrap();

    // As a phone comes that holds them all, and as many that it has lost.
    let held = company.person(user).unwrap().channels();
    let lost = (0..limits::TEAMS_MAX).map(|n| Channel::Team(nth(limits::TEAMS_MAX + n)));
    let channels =
        held.iter().copied().chain(lost).map(|channel| ChannelState { channel, fill: Fill::Complete });
    let hello = Hello {
        versions: VERSIONS,
        token: "t".repeat(600),
        agent: "test".into(),
        epoch: 0,
        cursor: 0,
        incarnation: 0,
        pushed: 0,
        channels: channels.collect(),
        wall_ms: 1,
        boot: 1,
        mono_ms: 1,
    };
    let frame = frames_up(vec![FromPhone::Hello(hello)]).remove(0);
    let messages: Vec<FromPhone> = decode_frame(&frame).unwrap();
    let [FromPhone::Hello(hello)] = &messages[..] else { panic!("{messages:?}") };
    let greeting = company.greet(device, hello, 1).unwrap().unwrap();
    assert_eq!(greeting.welcome.channels.into_iter().collect::<BTreeSet<_>>(), held);
}
