"""Places that intruders change or read, and the programs whose business they are."""

from __future__ import annotations

from typing import Final

PERSISTENCE: Final = (
    *("/etc/crontab", "/etc/anacrontab", "/etc/cron.d/", "/etc/cron.hourly/", "/etc/cron.daily/", "/etc/cron.weekly/"),
    *("/etc/cron.monthly/", "/var/spool/cron/", "/etc/systemd/", "/usr/lib/systemd/system/", "/etc/init.d/"),
    *("/etc/rc.local", "/etc/profile", "/etc/profile.d/", "/etc/bash.bashrc", "/etc/environment", "/etc/skel/"),
    *("/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d/", "/etc/udev/rules.d/", "/etc/modules-load.d/"),
    *("/etc/pam.d/", "/etc/sudoers", "/etc/sudoers.d/", "/etc/ssh/", "/root/.ssh/", "/root/.bashrc", "/root/.profile"),
    *("/etc/xdg/autostart/", "/etc/apt/apt.conf.d/", "/etc/NetworkManager/dispatcher.d/", "/etc/update-motd.d/"),
)
"""Where something is put that runs by itself later. A path that ends with ``/`` is a directory with all below."""
PACKAGE_MANAGERS: Final = ("/usr/bin/dpkg", "/usr/bin/rpm")
LOGS: Final = ("/var/log/", "/var/run/utmp")
LOG_SERVICES: Final = (
    *("/usr/lib/systemd/systemd-journald", "/usr/sbin/rsyslogd", "/usr/sbin/syslog-ng", "/usr/sbin/auditd"),
    *("/usr/sbin/logrotate", "/usr/bin/dpkg", "/usr/bin/rpm"),
)
DOCUMENT_ROOTS: Final = ("/var/www/", "/srv/www/")
CREDENTIALS: Final = (
    *("/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-", "/etc/ssh/ssh_host_rsa_key"),
    *("/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key", "/etc/krb5.keytab", "/etc/ssl/private/"),
    *("/root/.ssh/", "/root/.aws/", "/root/.azure/", "/root/.config/gcloud/", "/root/.kube/", "/root/.docker/"),
)
CREDENTIAL_PROGRAMS: Final = (
    *(f"/usr/bin/{name}" for name in ("login", "passwd", "su", "sudo", "chage", "expiry", "gpasswd", "newgrp", "sg")),
    *(
        f"/usr/bin/{name}"
        for name in ("ssh", "ssh-add", "ssh-keygen", "scp", "sftp", "doas", "pkexec", "run0", "crontab")
    ),
    *(f"/usr/sbin/{name}" for name in ("sshd", "unix_chkpwd", "unix_update", "chpasswd", "chgpasswd", "newusers")),
    *(f"/usr/sbin/{name}" for name in ("useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "vipw")),
    *(f"/usr/sbin/{name}" for name in ("pwck", "grpck", "pwconv", "pwunconv", "grpconv", "cron", "crond", "atd")),
    *(f"/usr/sbin/{name}" for name in ("nginx", "apache2", "httpd", "postfix", "exim4", "dovecot", "saslauthd")),
    *(f"/usr/sbin/{name}" for name in ("lightdm", "gdm3", "gdm", "sshd-session", "runuser", "agetty")),
    *(f"/usr/lib/openssh/{name}" for name in ("sshd-session", "sshd-auth", "ssh-keysign")),
    *(f"/usr/libexec/openssh/{name}" for name in ("sshd-session", "sshd-auth", "ssh-keysign")),
    *("/usr/bin/sddm", "/usr/libexec/gdm-session-worker", "/usr/lib/gdm3/gdm-session-worker"),
    *("/usr/lib/polkit-1/polkit-agent-helper-1", "/usr/lib/dovecot/auth", "/usr/libexec/dovecot/auth"),
    *("/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-executor", "/usr/bin/systemd-sysusers", "/usr/bin/dpkg"),
    *("/usr/bin/rpm", "/usr/bin/postgres", "/usr/sbin/mysqld", "/usr/sbin/mariadbd", "/usr/bin/nologin"),
)
"""The programs by which people log in, accounts are managed and servers show their certificates."""
MOST_FREQUENT: Final = (
    "/usr/sbin/sshd",
    "/usr/bin/sudo",
    "/usr/bin/su",
    "/usr/bin/login",
    "/usr/sbin/unix_chkpwd",
    "/usr/sbin/cron",
)
"""Those of them that are left out where reading is only written down: for each the kernel has one more rule to try."""
