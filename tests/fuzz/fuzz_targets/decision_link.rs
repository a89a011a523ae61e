#![no_main]

postrider_fuzz::program!("decision_link");
