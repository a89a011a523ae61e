use crate::words::words;

words! {
    /// What a code is given back for.
    "code purpose"
    enum CodePurpose {
        /// Signing in without a password.
        SignIn = "sign_in",
        /// Proving the address of a registration.
        Register = "register",
        /// None: the address of a registration has a user already, which is told to its mailbox only.
        AddressTaken = "address_taken",
        /// Choosing a new password.
        ResetPassword = "reset_password",
        /// Deleting one's own account.
        DeleteAccount = "delete_account",
        /// Giving one's account another address.
        ChangeEmail = "change_email",
        /// Proving that other address.
        NewEmail = "new_email",
        /// None: that other address has a user already, which is told to its mailbox only.
        NewEmailTaken = "new_email_taken",
    }
}
