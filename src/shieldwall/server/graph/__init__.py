"""HTTP for administrators and tools, in the shapes of Microsoft Graph, and of Defender for Endpoint at ``/api``."""
