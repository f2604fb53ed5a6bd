"""The administrators' APIs described for programs and people: one OpenAPI document, made of the routes themselves."""
