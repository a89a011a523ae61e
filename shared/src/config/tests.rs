use std::io::Write;

use super::*;

const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn complete() -> Vec<(&'static str, &'static str)> {
    vec![
        ("DATABASE_URL", "sqlite://test.db?mode=rwc"),
        ("REDIS_URL", "redis://127.0.0.1:6379/0"),
        ("SECRET_KEYS", KEY),
        ("OBJECT_STORE_URL", "file:///tmp/objects"),
        ("OPENAI_API_KEY", "007"),
    ]
}

#[test]
fn a_complete_environment_gives_the_documented_defaults() {
    let worker: WorkerConfig = Settings::of(complete()).read().unwrap();
    assert_eq!(worker.queues.len(), 6);
    assert_eq!(worker.concurrency, 64);
    assert_eq!(worker.grace.as_secs(), 20);
    assert_eq!(worker.redis.shards, 16);
    assert_eq!(worker.llm.model, "gpt-4.1-mini");
    assert_eq!(worker.outgoing.extra_ca_certs, None);
    assert_eq!((worker.outgoing.mail_timeout.as_secs(), worker.outgoing.smtp_answer_timeout.as_secs()), (30, 120));
    let api: ApiConfig = Settings::of(complete()).read().unwrap();
    assert_eq!((api.bind.to_string(), api.payload_limit), ("127.0.0.1:8080".to_owned(), 10 * 1024 * 1024));
    assert_eq!((api.redis.memory_percent, api.depth.limits), (80, postrider_queue::DepthLimits::NONE));
    let scheduler: SchedulerConfig = Settings::of(complete()).read().unwrap();
    assert_eq!(scheduler.tick.as_millis(), 200);
}

#[test]
fn depth_limits_name_queues_or_all_others() {
    let of = |text: &'static str| {
        let mut variables = complete();
        variables.push(("QUEUE_DEPTH_LIMITS", text));
        Settings::of(variables).read::<ApiConfig>()
    };
    let limits = of("email=100, mail=7,*=1000").unwrap().depth.limits;
    assert_eq!((limits.every, limits.queues.len()), (Some(1_000), 2));
    assert_eq!((limits.queues[1].0.as_str(), limits.queues[1].1), ("mail", 7));
    for wrong in ["email", "email=many", "e mail=7", "email=-1"] {
        let errors = of(wrong).unwrap_err();
        assert!(errors.problems()[0].starts_with("QUEUE_DEPTH_LIMITS: "), "{wrong}: {errors}");
    }
}

#[test]
fn audit_events_are_kept_for_three_years_or_as_long_as_is_said() {
    let of = |days: Option<&'static str>| {
        let days = days.map(|days| ("AUDIT_RETENTION_DAYS", days));
        Settings::of(complete().into_iter().chain(days)).read::<SchedulerConfig>()
    };
    for (set, days) in [(None, 1_095), (Some("30"), 30), (Some("36500"), 36_500)] {
        assert_eq!(of(set).unwrap().audit_retention, chrono::TimeDelta::days(days));
    }
    for wrong in ["29", "0", "-1", "36501", "a year"] {
        assert!(of(Some(wrong)).unwrap_err().problems()[0].starts_with("AUDIT_RETENTION_DAYS: "), "{wrong}");
    }
}

#[test]
fn texts_that_look_like_numbers_stay_texts() {
    use secrecy::ExposeSecret;
    let worker: WorkerConfig = Settings::of(complete()).read().unwrap();
    assert_eq!(worker.llm.api_key.expose_secret(), "007");
}

#[test]
fn all_problems_are_told_at_once() {
    let settings = Settings::of([
        ("REDIS_URL", "localhost"),
        ("WORKER_QUEUES", "mail,typo"),
        ("WORKER_CONCURRENCY", "0"),
        ("SECRET_KEYS", "k1:tooshort"),
        ("EXTRA_CA_CERTS", "/nowhere/authorities.pem"),
        ("SMTP_ANSWER_TIMEOUT_SECONDS", "300"),
        ("LOG_FORMAT", "xml"),
        ("METRICS_BIND", "9090"),
    ]);
    let errors = settings.read::<WorkerConfig>().unwrap_err();
    let named: Vec<&str> =
        errors.problems().iter().map(|problem| problem.split(':').next().unwrap_or_default()).collect();
    assert_eq!(
        named,
        [
            "WORKER_QUEUES",
            "WORKER_CONCURRENCY",
            "OPENAI_API_KEY",
            "EXTRA_CA_CERTS",
            "SMTP_ANSWER_TIMEOUT_SECONDS",
            "DATABASE_URL",
            "REDIS_URL",
            "SECRET_KEYS",
            "OBJECT_STORE_URL",
            "LOG_FORMAT",
            "METRICS_BIND"
        ],
        "{errors}"
    );
}

#[test]
fn a_file_is_read_below_the_environment_and_checked() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "scheduler_tick_ms = 500\nqueue_shards = 8\ndatabse_url = \"sqlite:x\"\n").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let mut variables = complete();
    variables.push(("POSTRIDER_CONFIG", &path));
    variables.push(("QUEUE_SHARDS", "4"));
    let errors = Settings::of(variables.clone()).read::<SchedulerConfig>().unwrap_err();
    assert_eq!(errors.problems(), ["the settings file has `databse_url`, which is not a setting of this version"]);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "scheduler_tick_ms = 500\nqueue_shards = 8\n").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    variables[5].1 = &path;
    let scheduler: SchedulerConfig = Settings::of(variables).read().unwrap();
    assert_eq!(scheduler.tick.as_millis(), 500);
    assert_eq!(scheduler.redis.shards, 4, "the environment wins");
}

#[test]
fn every_secret_may_stand_in_a_file() {
    use secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let mut variables: Vec<(String, String)> = vec![("OBJECT_STORE_URL".to_owned(), "file:///tmp/objects".to_owned())];
    let secrets: Vec<&Variable> = VARIABLES.iter().filter(|variable| variable.secret).collect();
    assert!(secrets.len() >= 6, "{secrets:?}");
    for (name, text) in complete().into_iter().chain([("GOOGLE_CLIENT_SECRET", "shh"), ("SENTRY_DSN", "")]) {
        if secrets.iter().any(|secret| secret.name == name) && !text.is_empty() {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("{text}\r\n")).unwrap();
            variables.push((format!("{name}_FILE"), path.display().to_string()));
        }
    }
    variables.push(("GOOGLE_CLIENT_ID".to_owned(), "client".to_owned()));
    variables.push(("GOOGLE_REDIRECT_URL".to_owned(), "https://api.example.com/google/callback".to_owned()));
    let read = |variables: &[(String, String)]| {
        Settings::of(variables.iter().map(|(name, text)| (name.as_str(), text.as_str()))).read::<WorkerConfig>()
    };
    let worker = read(&variables).unwrap();
    assert_eq!(worker.llm.api_key.expose_secret(), "007");
    assert_eq!(worker.database.url.as_str(), "sqlite://test.db?mode=rwc");
    assert_eq!(worker.google.unwrap().client_secret.expose_secret(), "shh");

    // All at once: a file that is not there, an empty one, one beside its variable.
    std::fs::remove_file(folder.path().join("SECRET_KEYS")).unwrap();
    std::fs::write(folder.path().join("GOOGLE_CLIENT_SECRET"), "\n").unwrap();
    variables.push(("OPENAI_API_KEY".to_owned(), "006".to_owned()));
    let errors = read(&variables).unwrap_err();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(
        errors.problems(),
        [
            "OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set: which one counts?".to_owned(),
            format!("GOOGLE_CLIENT_SECRET_FILE: `{}` is empty", path("GOOGLE_CLIENT_SECRET")),
            format!(
                "SECRET_KEYS_FILE: `{}` cannot be read: No such file or directory (os error 2)",
                path("SECRET_KEYS")
            ),
        ]
    );
    // Who does not read a secret does not mind its file.
    variables.push(("SCHEDULER_TICK_MS".to_owned(), "100".to_owned()));
    let settings = Settings::of(variables.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    settings.read::<SchedulerConfig>().unwrap();
}

#[test]
fn of_a_secret_in_a_file_only_the_end_of_its_line_is_dropped() {
    use secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret").display().to_string();
    let read = |more: &[(&'static str, &str)]| {
        let rest = complete().into_iter().filter(|(name, _)| *name != "OPENAI_API_KEY");
        Settings::of(rest.chain(more.iter().copied())).read::<WorkerConfig>()
    };
    let mail = [
        ("OPENAI_API_KEY", "006"),
        ("SYSTEM_SMTP_SERVER", "tls://mx.example:465"),
        ("SYSTEM_MAIL_FROM", "a@b.example"),
    ];
    for (text, secret) in [(" a b\t \n", " a b\t "), ("a\nb\r\n\r\n", "a\nb"), ("007", "007")] {
        std::fs::write(&path, text).unwrap();
        let worker = read(&[mail.as_slice(), &[("SYSTEM_SMTP_PASSWORD_FILE", &path)]].concat()).unwrap();
        assert_eq!(worker.system_mail.unwrap().password.expose_secret(), secret);
    }
    // An empty variable is none, be it the secret or the file's.
    let worker = read(&[("OPENAI_API_KEY_FILE", &path), ("OPENAI_API_KEY", "")]).unwrap();
    assert_eq!(worker.llm.api_key.expose_secret(), "007");
    let worker = read(&[("OPENAI_API_KEY_FILE", ""), ("OPENAI_API_KEY", "008")]).unwrap();
    assert_eq!(worker.llm.api_key.expose_secret(), "008");
    // What is no secret stands in no file: nobody reads it from there.
    std::fs::write(&path, "7").unwrap();
    let worker = read(&[("OPENAI_API_KEY", "008"), ("WORKER_CONCURRENCY_FILE", &path)]).unwrap();
    assert_eq!(worker.concurrency, 64);
}

/// As a secret that is mounted as a variable with the line break of its file, or a list of variables that was saved on Windows.
#[test]
fn line_breaks_at_the_end_and_blanks_around_are_nobodys_words() {
    use secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, "openai_model = \" m \\n\"\nmetrics_bind = \" \"\n").unwrap();
    let path = format!(" {}\r\n", path.display());
    let mut variables: Vec<(&str, String)> =
        complete().into_iter().map(|(name, text)| (name, format!("{text}\r\n"))).collect();
    variables.extend([("POSTRIDER_CONFIG", path), ("RUST_LOG", " info\n".into()), ("SENTRY_DSN", "\n".into())]);
    let of = |variables: &[(&str, String)]| {
        Settings::of(variables.iter().map(|(name, text)| (*name, text.as_str()))).read::<WorkerConfig>()
    };
    let worker = of(&variables).unwrap();
    assert_eq!(worker.objects.url.as_str(), "file:///tmp/objects");
    assert_eq!(worker.database.url.as_str(), "sqlite://test.db?mode=rwc");
    assert_eq!(worker.llm.api_key.expose_secret(), "007");
    assert_eq!((worker.llm.model.as_str(), worker.telemetry.filter.as_str()), ("m", "info"));
    assert!(worker.telemetry.metrics_bind.is_none() && worker.telemetry.sentry_dsn.is_none());
    variables.retain(|(name, _)| *name != "OPENAI_API_KEY");
    for key in ["two\nlines", "sk-\u{e9}"] {
        let with_key = [variables.as_slice(), &[("OPENAI_API_KEY", key.to_owned())]].concat();
        assert!(of(&with_key).unwrap_err().problems()[0].starts_with("OPENAI_API_KEY: "));
    }
}

#[test]
fn a_database_url_that_cannot_be_parsed_is_refused_without_its_password() {
    for url in ["postgres://u:hunter2@h:99999/db", "postgres://u:hunter2/@h/db", "postgres://u:hunter2@[::1/db"] {
        let mut variables = complete();
        variables[0].1 = url;
        let errors = Settings::of(variables).read::<SchedulerConfig>().unwrap_err().to_string();
        assert!(errors.contains("DATABASE_URL: is not a URL (") && !errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let mut variables = complete();
    variables[0].1 = "postgres://user:hunter2@db/postrider";
    let shown = format!("{:?}", Settings::of(variables).read::<WorkerConfig>().unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("007") && !shown.contains("AAECAw"), "{shown}");
}

#[test]
fn every_variable_is_listed_once() {
    let mut names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), VARIABLES.len());
}

#[test]
fn a_missing_setting_is_told_with_the_name_that_was_written_instead() {
    let variables =
        complete().into_iter().map(|(name, text)| (if name == "REDIS_URL" { "REDIS_URLS" } else { name }, text));
    let errors = Settings::of(variables).read::<WorkerConfig>().unwrap_err();
    assert!(errors.problems()[0].starts_with("REDIS_URL: is not set, but REDIS_URLS is. "), "{errors}");
}
