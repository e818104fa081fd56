"""The only importers of vendors' SDKs: small typed clients that raise the errors of `errors`.

They know nothing of plugins or plans. `app` builds them from the settings and closes them;
plugins get them from their context.
"""
