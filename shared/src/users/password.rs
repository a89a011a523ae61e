//! Passwords: argon2id with OWASP's parameters, off the async threads, a bounded number at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::spawn_blocking;

use crate::database::StoreError;

/// Fewest characters of a new password.
pub const MIN_PASSWORD: usize = 10;
/// Most characters of a new password.
pub const MAX_PASSWORD: usize = 200;

/// Kibibytes, passes and lanes: OWASP's password storage cheat sheet. A hash with others is made anew at the next sign-in.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// A password could not be hashed or compared: a defect, or a process that ends.
#[derive(Debug, thiserror::Error)]
#[error("passwords cannot be hashed: {0}")]
pub struct PasswordError(String);

/// What a comparison gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right,
    /// It was hashed with other parameters than ours.
    RightButOld,
}

/// Hashes and compares. Clones share the bound on how many run at once.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    /// One per core: each takes 19 MiB and a core for some ten milliseconds.
    permits: Arc<Semaphore>,
    /// What is compared with where there is no user or no password.
    dummy: OnceCell<String>,
    computations: AtomicU64,
}

impl Passwords {
    pub fn new() -> Self {
        let at_once = available_parallelism().map_or(2, usize::from);
        let permits = Arc::new(Semaphore::new(at_once));
        Self(Arc::new(Inner { permits, dummy: OnceCell::new(), computations: AtomicU64::new(0) }))
    }

    /// Refuses what is too short to be safe, or longer than anybody types.
    pub fn check(password: &SecretString) -> Result<(), StoreError> {
        if (MIN_PASSWORD..=MAX_PASSWORD).contains(&password.expose_secret().chars().count()) {
            return Ok(());
        }
        Err(StoreError::invalid("password", format!("must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")))
    }

    /// The hash to keep, as a PHC string with a salt of its own.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        self.compute(move || {
            let hash: PasswordHash = ours()?.hash_password(password.expose_secret().as_bytes()).map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Compares with the stored hash. `None`, for a user who is not there or has no password, takes as long and is wrong.
    pub async fn verify(&self, stored: Option<String>, password: SecretString) -> Result<Verdict, PasswordError> {
        let dummy = self.0.dummy.get_or_try_init(|| self.hash(SecretString::from("nobody's password"))).await?;
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| dummy.clone());
        self.compute(move || {
            let hash = PasswordHash::new(&stored).map_err(failed)?;
            let right = Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok();
            Ok(match (right && known, stored.starts_with(CURRENT)) {
                (false, _) => Verdict::Wrong,
                (true, true) => Verdict::Right,
                (true, false) => Verdict::RightButOld,
            })
        })
        .await
    }

    /// How many hashes were computed, of users or of nobody.
    pub fn computations(&self) -> u64 {
        self.0.computations.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(failed)?;
        self.0.computations.fetch_add(1, Ordering::Relaxed);
        // The permit goes with the work: a caller that hangs up does not make room before the core is free.
        spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(failed)?
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

fn ours() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature map_err asks for")]
fn failed(error: impl ToString) -> PasswordError {
    PasswordError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_nobodys_takes_as_much_work() {
        let passwords = Passwords::new();
        let secret = || SecretString::from("correct horse battery");
        let hash = passwords.hash(secret()).await.unwrap();
        assert!(hash.starts_with(CURRENT), "{hash}");
        assert_ne!(passwords.hash(secret()).await.unwrap(), hash, "each hash has its own salt");
        assert_eq!(passwords.verify(Some(hash.clone()), secret()).await.unwrap(), Verdict::Right);
        let before = passwords.computations();
        assert_eq!(passwords.verify(Some(hash), "wrong".into()).await.unwrap(), Verdict::Wrong);
        assert_eq!(passwords.verify(None, "nobody's password".into()).await.unwrap(), Verdict::Wrong);
        assert_eq!(passwords.computations() - before, 2, "one for each");
    }

    #[tokio::test]
    async fn a_hash_with_other_parameters_is_right_but_old() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).unwrap());
        let hash: PasswordHash = weak.hash_password(b"correct horse battery").unwrap();
        let verdict = Passwords::new().verify(Some(hash.to_string()), "correct horse battery".into()).await.unwrap();
        assert_eq!(verdict, Verdict::RightButOld);
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        for wrong in ["", "123456789", &"x".repeat(201)] {
            assert!(Passwords::check(&SecretString::from(wrong)).is_err(), "{}", wrong.len());
        }
        assert!(Passwords::check(&SecretString::from("ten \u{e4}\u{f6}\u{fc} ok!")).is_ok());
    }
}
