#![no_main]

postrider_fuzz::program!("mail_html");
