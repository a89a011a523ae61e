//! A second, independent client of each protocol: Python's standard library, where there is one.

use std::process::Stdio;

use postrider_sandbox::Sandbox;
use tokio::process::Command;

#[tokio::test]
async fn imaplib_and_smtplib_agree_with_the_servers() {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    if !python.is_ok_and(|status| status.success()) {
        eprintln!("no python3: skipped");
        return;
    }
    let sandbox = Sandbox::spawn().await.unwrap();
    let client = sandbox.client();
    client.create_mailbox("shop@example.test", "geheim").await.unwrap();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python.py"))
        .args([sandbox.addresses.smtp.port().to_string(), sandbox.addresses.imap.port().to_string()])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(client.accepted().await.unwrap().len(), 2);
}
