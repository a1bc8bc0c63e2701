//! Logins that were refreshed: which refresh token of each is the one that counts.
//!
//! A login leaves nothing here until its first refresh, and nothing after its end.

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::limits::{
    REFRESH_GRACE, REFRESHED_SESSIONS_MAX, REFRESHED_SESSIONS_PER_USER_MAX,
};
use crate::model::{Name, Session, Timestamp};

/// Sessions that are over and are forgotten in one step, at most.
const FORGOTTEN_MAX: usize = 16;

/// A login that was refreshed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// Whose it is, and since when.
    pub session: Session,
    /// The refresh token that counts is of this generation.
    pub generation: u64,
    /// A token that was used up came again: none counts any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// The end of it.
    pub until: Timestamp,
    /// When the token before was used up, of a login whose tabs may bring that one once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_at: Option<Timestamp>,
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is used up; the next one counts.
    Good,
    /// It was used up before: the session has ended.
    Again,
    /// Its session has ended, or no such token was given out.
    Over,
    /// There is no room for one more session.
    Full(usize),
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    by_id: OrdMap<Uuid, Refreshed>,
    by_end: OrdSet<(Timestamp, Uuid)>,
    of_user: OrdMap<Name, u32>,
}

impl Sessions {
    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether both are the very same.
    pub fn is_same(&self, other: &Sessions) -> bool {
        self.by_id.ptr_eq(&other.by_id)
    }

    /// Whether the session was ended.
    pub fn has_ended(&self, id: Uuid) -> bool {
        self.by_id.get(&id).is_some_and(|known| known.ended)
    }

    /// Uses up the refresh token of that generation. With `tabs` several may hold it, which renew
    /// at the same moment: the one just used up is good for a short while more, and leads to the
    /// same next one.
    pub(in crate::machine) fn refresh(
        &mut self,
        id: Uuid,
        session: &Session,
        (generation, tabs): (u64, bool),
        until: Timestamp,
        at: Timestamp,
    ) -> Use {
        self.forget(at);
        let replaced_at = tabs.then_some(at);
        if let Some(known) = self.by_id.get_mut(&id) {
            if known.ended || known.session != *session || generation > known.generation {
                return Use::Over;
            }
            if generation < known.generation {
                let just_now = |used: Timestamp| at.since(used) <= REFRESH_GRACE;
                let newest = generation + 1 == known.generation;
                if tabs && newest && known.replaced_at.is_some_and(just_now) {
                    return Use::Good;
                }
                known.ended = true;
                return Use::Again;
            }
            known.generation += 1;
            known.replaced_at = replaced_at;
            return Use::Good;
        }
        if generation > 0 || until <= at {
            return Use::Over;
        }
        if self.by_id.len() >= REFRESHED_SESSIONS_MAX {
            return Use::Full(REFRESHED_SESSIONS_MAX);
        }
        let of_user = self.of_user.get(&session.user).copied().unwrap_or(0);
        if of_user as usize >= REFRESHED_SESSIONS_PER_USER_MAX {
            return Use::Full(REFRESHED_SESSIONS_PER_USER_MAX);
        }
        self.of_user.insert(session.user.clone(), of_user + 1);
        self.by_end.insert((until, id));
        let session = session.clone();
        let kept = Refreshed { session, generation: 1, ended: false, until, replaced_at };
        self.by_id.insert(id, kept);
        Use::Good
    }

    /// Forgets those of a user whose tokens are all refused from here on.
    pub(in crate::machine) fn forget_user(&mut self, name: &Name) {
        if self.of_user.remove(name).is_none() {
            return;
        }
        let of_user = self.by_id.iter().filter(|(_, known)| known.session.user == *name);
        let gone: Vec<_> = of_user.map(|(id, known)| (known.until, *id)).collect();
        for end in gone {
            self.by_end.remove(&end);
            self.by_id.remove(&end.1);
        }
    }

    fn forget(&mut self, at: Timestamp) {
        for _ in 0..FORGOTTEN_MAX {
            let Some(first) = self.by_end.get_min().copied().filter(|(end, _)| *end <= at) else {
                return;
            };
            self.by_end.remove(&first);
            let Some(known) = self.by_id.remove(&first.1) else { continue };
            let user = &known.session.user;
            match self.of_user.get(user).copied() {
                Some(count) if count > 1 => drop(self.of_user.insert(user.clone(), count - 1)),
                _ => drop(self.of_user.remove(user)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn of(user: &str) -> Session {
        Session { user: Name::parse(user).unwrap(), uid: Uuid::from_u128(1), epoch: 0 }
    }

    #[test]
    fn each_refresh_token_is_good_once_and_a_second_time_ends_the_session() {
        let (mut sessions, id) = (Sessions::default(), Uuid::from_u128(7));
        let until = AT.plus(Span::from_secs(100));
        let mut refresh =
            |generation, at| sessions.refresh(id, &of("ann"), (generation, false), until, at);
        assert_eq!(refresh(1, AT), Use::Over, "it was never given out");
        assert_eq!([refresh(0, AT), refresh(1, AT), refresh(2, AT)], [Use::Good; 3]);
        assert_eq!(refresh(1, AT), Use::Again);
        assert_eq!(refresh(3, AT), Use::Over);
        assert!(sessions.has_ended(id));
        // Nothing is left after its end.
        let late = until.plus(Span::from_secs(1));
        let other = Uuid::from_u128(8);
        assert_eq!(
            sessions.refresh(other, &of("bob"), (0, false), late.plus(Span::from_secs(9)), late),
            Use::Good
        );
        assert_eq!(
            (sessions.by_id.len(), sessions.by_end.len(), sessions.of_user.len()),
            (1, 1, 1)
        );
        sessions.forget_user(&of("bob").user);
        assert!(sessions.is_empty() && sessions.by_end.is_empty() && sessions.of_user.is_empty());
    }

    #[test]
    fn their_number_is_bounded_for_each_user() {
        let mut sessions = Sessions::default();
        let until = AT.plus(Span::from_secs(100));
        for n in 0..REFRESHED_SESSIONS_PER_USER_MAX {
            let id = Uuid::from_u128(n as u128);
            assert_eq!(sessions.refresh(id, &of("ann"), (0, false), until, AT), Use::Good);
        }
        let most = Use::Full(REFRESHED_SESSIONS_PER_USER_MAX);
        assert_eq!(sessions.refresh(Uuid::max(), &of("ann"), (0, false), until, AT), most);
        assert_eq!(sessions.refresh(Uuid::max(), &of("bob"), (0, false), until, AT), Use::Good);
    }

    #[test]
    fn tabs_that_renew_at_once_keep_the_session_and_a_late_one_ends_it() {
        let (mut sessions, id) = (Sessions::default(), Uuid::from_u128(7));
        let until = AT.plus(Span::from_secs(3_600));
        let at = |secs: u64| AT.plus(Span::from_secs(secs));
        let mut use_up =
            |generation, tabs, at| sessions.refresh(id, &of("ann"), (generation, tabs), until, at);
        // The second tab comes with the token that the first has just used up.
        assert_eq!([use_up(0, true, at(0)), use_up(0, true, at(2))], [Use::Good; 2]);
        assert_eq!(use_up(1, true, at(100)), Use::Good);
        assert_eq!(use_up(1, true, at(130)), Use::Good, "the end of the while");
        // A program has no tabs: with the same token it is somebody else.
        assert_eq!(use_up(1, false, at(110)), Use::Again);
        assert_eq!(use_up(2, true, at(111)), Use::Over, "for everybody");

        let late = Uuid::from_u128(8);
        let mut use_up = |generation, tabs, at| {
            sessions.refresh(late, &of("ann"), (generation, tabs), until, at)
        };
        assert_eq!(use_up(0, true, at(0)), Use::Good);
        assert_eq!(use_up(0, true, at(31)), Use::Again, "too late to be another tab");

        let old = Uuid::from_u128(9);
        let mut use_up =
            |generation, tabs, at| sessions.refresh(old, &of("ann"), (generation, tabs), until, at);
        assert_eq!([use_up(0, true, at(0)), use_up(1, true, at(1))], [Use::Good; 2]);
        assert_eq!(use_up(0, true, at(2)), Use::Again, "not the one before");

        let program = Uuid::from_u128(10);
        let mut use_up = |generation, tabs, at| {
            sessions.refresh(program, &of("ann"), (generation, tabs), until, at)
        };
        assert_eq!(use_up(0, false, at(0)), Use::Good);
        assert_eq!(use_up(0, true, at(1)), Use::Again, "what a program used up stays used up");
    }
}
