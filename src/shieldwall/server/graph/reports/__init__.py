"""Reports as Intune's portal and scripts ask for them: one question, a table as the answer."""
