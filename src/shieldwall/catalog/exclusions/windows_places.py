"""What must never be hidden on Windows. Paths are those below a drive, whichever it is, in lower case."""

from __future__ import annotations

from typing import Final

from shieldwall.catalog.exclusions.landscape import Landscape

VARIABLES: Final = {
    "allusersprofile": "/programdata",
    "commonprogramfiles": "/program files/common files",
    "commonprogramfiles(x86)": "/program files (x86)/common files",
    "commonprogramw6432": "/program files/common files",
    "comspec": "/windows/system32/cmd.exe",
    "programdata": "/programdata",
    "programfiles": "/program files",
    "programfiles(x86)": "/program files (x86)",
    "programw6432": "/program files",
    "public": "/users/public",
    "systemdrive": "",
    "systemroot": "/windows",
    "windir": "/windows",
}
"""Environment variables that mean the same to every user, and what they stand for."""

_ENGINE_FOLDERS: Final = ("windows defender", "windows defender advanced threat protection")
_ENGINE_DRIVERS: Final = ("wd", "wdboot.sys", "wddevflt.sys", "wdfilter.sys", "wdnisdrv.sys")

WINDOWS: Final = Landscape(
    system=("/windows", "/windows/system32", "/program files", "/program files (x86)", "/programdata", "/users"),
    agent=("/program files/shieldwall", "/program files (x86)/shieldwall", "/programdata/shieldwall"),
    engine=tuple(
        f"{above}/{folder}"
        for above in ("/program files", "/program files (x86)", "/programdata/microsoft")
        for folder in _ENGINE_FOLDERS
    )
    + tuple(f"/windows/system32/drivers/{driver}" for driver in _ENGINE_DRIVERS),
    broad=(
        "/$recycle.bin",
        "/documents and settings",
        "/documents and settings/all users",
        "/inetpub",
        "/perflogs",
        "/program files/common files",
        "/program files (x86)/common files",
        "/programdata/microsoft",
        "/programdata/microsoft/windows",
        "/programdata/microsoft/windows/start menu",
        "/programdata/microsoft/windows/start menu/programs",
        "/programdata/microsoft/windows/start menu/programs/startup",
        "/recovery",
        "/system volume information",
        "/temp",
        "/tmp",  # noqa: S108 - refused as an exclusion, not used
        "/users/public",
        "/windows/fonts",
        "/windows/installer",
        "/windows/microsoft.net",
        "/windows/system32/config",
        "/windows/system32/drivers",
        "/windows/system32/spool",
        "/windows/system32/tasks",
        "/windows/syswow64",
        "/windows/tasks",
        "/windows/temp",
        "/windows/winsxs",
    ),
    crowded=(
        "/users/",
        "/users//appdata",
        "/users//appdata/local",
        "/users//appdata/local/microsoft",
        "/users//appdata/local/programs",
        "/users//appdata/local/temp",
        "/users//appdata/locallow",
        "/users//appdata/roaming",
        "/users//appdata/roaming/microsoft",
        "/users//appdata/roaming/microsoft/windows",
        "/users//appdata/roaming/microsoft/windows/start menu",
        "/users//appdata/roaming/microsoft/windows/start menu/programs",
        "/users//appdata/roaming/microsoft/windows/start menu/programs/startup",
        "/users//desktop",
        "/users//documents",
        "/users//downloads",
    ),
    program_folders=(
        "/program files/powershell/7",
        "/windows",
        "/windows/microsoft.net/framework/v4.0.30319",
        "/windows/microsoft.net/framework64/v4.0.30319",
        "/windows/sysnative",
        "/windows/system32",
        "/windows/system32/wbem",
        "/windows/system32/windowspowershell/v1.0",
        "/windows/syswow64",
        "/windows/syswow64/wbem",
        "/windows/syswow64/windowspowershell/v1.0",
    ),
    program_ending=".exe",
    interpreters=(
        *("autohotkey", "autoit3", "bash", "bitsadmin", "bun", "busybox", "certutil", "cmd", "cmstp", "control"),
        *("csc", "cscript", "csi", "deno", "dllhost", "dotnet", "excel", "explorer", "forfiles", "fsi", "git-bash"),
        *("hh", "ieexec", "infdefaultinstall", "installutil", "java", "javaw", "jsc", "lua", "luajit", "mavinject"),
        *("microsoft.workflow.compiler", "mono", "msbuild", "mshta", "msiexec", "msxsl", "node", "odbcconf", "pcalua"),
        *("perl", "php", "powerpnt", "powershell", "powershell_ise", "presentationhost", "psexec", "psexesvc", "pwsh"),
        *("py", "pypy", "python", "pythonw", "pyw", "regasm", "regsvcs", "regsvr32", "ruby", "rubyw", "rundll32"),
        *("schtasks", "scriptrunner", "sh", "svchost", "syncappvpublishingserver", "tclsh", "vbc", "winrs", "winword"),
        *("wmic", "wmiprvse", "wscript", "wsl", "wslhost", "wt", "xwizard", "zsh"),
    ),
    agent_programs=("shieldwall", "shieldwall-agent"),
    engine_programs=(
        *("mpcmdrun", "mpdefendercoreservice", "msmpeng", "mssense", "nissrv", "securityhealthservice"),
        *("sensecncproxy", "sensendr", "senseir", "sensesampleuploader", "sensetvm"),
    ),
    program_extensions=frozenset(
        {
            *("appref-ms", "appx", "appxbundle", "asp", "aspx", "bat", "chm", "cmd", "com", "cpl", "dll"),
            *("doc", "docm", "dot", "dotm", "drv", "efi", "exe", "gadget", "hta", "inf", "jar", "js", "jse", "jsp"),
            *("lnk", "msc", "msi", "msix", "msixbundle", "msp", "mst", "ocx", "php", "pif", "pl", "pot", "potm"),
            *("ppam", "pps", "ppsm", "ppt", "pptm", "ps1", "ps1xml", "psd1", "psm1", "py", "pyc", "pyw", "rb"),
            *("reg", "scf", "scr", "sct", "settingcontent-ms", "sh", "sldm", "sys", "url", "vb", "vbe", "vbs", "vxd"),
            *("winmd", "ws", "wsc", "wsf", "wsh", "xla", "xlam", "xll", "xls", "xlsb", "xlsm", "xlt", "xltm"),
        }
    ),
    folds_case=True,
)
