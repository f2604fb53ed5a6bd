"""The identity platform: discovery, keys and tokens, for applications and for people who sign in to them.

Paths and answers are those of Microsoft's identity platform (OAuth 2.0, OpenID Connect), so that its libraries work.
The page where a person agrees is in the admin center, which knows who is signed in.
"""
