# Install the agent: files, directories nobody else may use, two services. Safe to run again; run it for an upgrade as well.
#
#   install.ps1                              from the folder that was unpacked, with a Python runtime in it
#   install.ps1 -Runtime python.zip -Sha256  the embeddable Python, where the package came without one
#   install.ps1 -ConfigureOnly               the files are there already (the MSI has put them)
[CmdletBinding()]
param([string] $Runtime, [string] $Sha256, [switch] $ConfigureOnly)

Import-Module (Join-Path $PSScriptRoot 'Common.psm1') -Force
Assert-Administrator

# On a protected device only SYSTEM stops our services: there an upgrade runs as SYSTEM, as the MSI does.
foreach ($name in 'ShieldwallAgent', 'ShieldwallApplier') {
    $service = Get-Service -Name $name -ErrorAction SilentlyContinue
    if ($service -and $service.Status -ne 'Stopped') { Invoke-Program sc.exe @('stop', $name); $service.WaitForStatus('Stopped', '00:02:00') }
}
if (-not $ConfigureOnly) {
    New-Item -ItemType Directory -Path $Home_ -Force | Out-Null
    foreach ($folder in 'lib', 'python', 'scripts') {
        $target = Join-Path $Home_ $folder
        if (Test-Path $target) { Remove-Item $target -Recurse -Force }
        $source = Join-Path (Split-Path $PSScriptRoot) $folder
        Copy-Item $source $target -Recurse
    }
    Copy-Item (Join-Path (Split-Path $PSScriptRoot) 'shieldwall-agent.cmd') $Home_ -Force
}
if ($Runtime) {
    if (-not $Sha256) { throw 'Say by -Sha256 which runtime it must be.' }
    if ((Get-FileHash $Runtime -Algorithm SHA256).Hash -ne $Sha256) { throw "$Runtime is not the runtime that was named." }
    $folder = Split-Path $Python
    $ours = Get-ChildItem $folder -Filter '*._pth' | Select-Object -First 1
    $paths = Get-Content $ours.FullName -Raw
    Expand-Archive $Runtime -DestinationPath $folder -Force
    Set-Content $ours.FullName $paths -NoNewline -Encoding Ascii
}
if (-not (Test-Path $Python)) { throw "There is no $Python; name the embeddable Python with -Runtime and -Sha256." }

foreach ($service in $Services) { Install-ShieldwallService $service }
Protect-Directory $Data 'Read'
Protect-Directory (Join-Path $Data 'applier') 'None'
Protect-Directory (Join-Path $Data 'agent') 'Full'
if (-not [Diagnostics.EventLog]::SourceExists('Shieldwall')) { New-EventLog -LogName Application -Source Shieldwall }
Invoke-Program sc.exe @('start', 'ShieldwallApplier')
Invoke-Program sc.exe @('start', 'ShieldwallAgent')
Write-Output 'Installed. Give this device an identity with: onboard.ps1 -Package shieldwall_onboarding.json'
