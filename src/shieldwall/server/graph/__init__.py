"""HTTP for administrators and tools, in the shapes of Microsoft Graph and the Microsoft identity platform."""
