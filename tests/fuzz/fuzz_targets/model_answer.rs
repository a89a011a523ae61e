#![no_main]

postrider_fuzz::program!("model_answer");
