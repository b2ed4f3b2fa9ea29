// swift-tools-version:5.9
// An app's view of FieldbookKit: it depends on the package as a stranger would. (SwiftPM knows a package by the name of
// its folder, which is why this one may not be called `swift` as well.)
import PackageDescription

let package = Package(
    name: "check",
    platforms: [.iOS(.v16), .macOS(.v13)],
    dependencies: [.package(path: "../../../../ffi/swift")],
    targets: [
        .executableTarget(
            name: "check",
            dependencies: [.product(name: "FieldbookKit", package: "swift")],
            path: "Sources")
    ]
)
