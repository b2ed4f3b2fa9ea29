// swift-tools-version:5.9
// FieldbookKit for app developers. On Linux the library is found through `-Xlinker -L`; on iOS the system library
// target gives way to an XCFramework made by the packaging script.
import PackageDescription

let package = Package(
    name: "FieldbookKit",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "FieldbookKit", targets: ["FieldbookKit"])],
    targets: [
        .systemLibrary(name: "FieldbookFFI", path: "Sources/FieldbookFFI"),
        .target(name: "FieldbookKit", dependencies: ["FieldbookFFI"], path: "Sources/FieldbookKit"),
    ]
)
