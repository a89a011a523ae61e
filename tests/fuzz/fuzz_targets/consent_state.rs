#![no_main]

postrider_fuzz::program!("consent_state");
