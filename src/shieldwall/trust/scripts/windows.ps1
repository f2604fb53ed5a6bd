#Requires -Version 5.1
<#
.SYNOPSIS
Onboards this machine with one onboarding package of Shieldwall.

.DESCRIPTION
Tenant   @TENANT@
Package  @PACKAGE@, until @EXPIRES@, for @PLATFORMS@

This file holds the package's secret: whoever reads it can onboard machines until the package expires or is revoked.
It may run again: a machine that is onboarded stays as it is.

.PARAMETER InstallFrom
Where there is no agent: a wheel file, or the address of a package index; else nothing is fetched from anywhere.

.PARAMETER Proxy
HTTP proxy on the way to the server.
#>
[CmdletBinding()]
param([string] $InstallFrom = '', [string] $Proxy = '')
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$me = [Security.Principal.WindowsPrincipal] [Security.Principal.WindowsIdentity]::GetCurrent()
if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    [Console]::Error.WriteLine('Run this as an administrator: the agent changes settings of the whole machine.')
    exit 3
}

$installed = Join-Path $env:ProgramFiles 'Shieldwall'
$agent = Join-Path $installed 'Scripts\shieldwall-agent.exe'
if (-not (Test-Path -LiteralPath $agent)) {
    $found = Get-Command 'shieldwall-agent.exe' -ErrorAction SilentlyContinue
    if ($found) {
        $agent = $found.Source
    } elseif (-not $InstallFrom) {
        [Console]::Error.WriteLine('There is no shieldwall-agent here. Install it, or say where from: -InstallFrom')
        exit 3
    } else {
        & py -3 -m venv $installed
        if ($LASTEXITCODE -ne 0) { exit 1 }
        $pip = Join-Path $installed 'Scripts\pip.exe'
        if (Test-Path -LiteralPath $InstallFrom) {
            & $pip install --quiet --no-index --find-links (Split-Path -Parent $InstallFrom) $InstallFrom
        } else {
            & $pip install --quiet --index-url $InstallFrom shieldwall
        }
        if ($LASTEXITCODE -ne 0) { exit 1 }
    }
}

$directory = Join-Path $env:ProgramData 'Shieldwall'
$package = Join-Path $directory 'shieldwall_onboarding.json'
New-Item -ItemType Directory -Force -Path $directory | Out-Null
# Administrators and the system alone, by their well-known ids: their names differ between languages.
& icacls.exe $directory /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' | Out-Null
if ($LASTEXITCODE -ne 0) { exit 1 }
$content = @'
@CONTENT@
'@
[IO.File]::WriteAllBytes($package, [Convert]::FromBase64String(($content -replace '\s', '')))

$words = @('onboard', $package)
if ($Proxy) { $words += @('--proxy', $Proxy) }
& $agent @words
$status = $LASTEXITCODE
if ($status -eq 12) {
    [Console]::Error.WriteLine('This machine is registered and waits for an administrator. Run this again then.')
    exit 12
}
Remove-Item -LiteralPath $package -Force
if ($status -eq 5) { Write-Output 'This machine is onboarded already; nothing was changed.'; $status = 0 }
exit $status
