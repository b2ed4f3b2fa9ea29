// swift-tools-version:5.9
// FieldbookKit for app developers. On iOS the library is an XCFramework that xcframework.sh makes; on Linux, and as long as there is
// none, a system library that is found through `-Xlinker -L`.
import Foundation
import PackageDescription

let framework = "Fieldbook.xcframework"
let isPackaged = FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/\(framework)")

let package = Package(
    name: "FieldbookKit",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "FieldbookKit", targets: ["FieldbookKit"])],
    targets: [
        isPackaged
            ? .binaryTarget(name: "FieldbookFFI", path: framework)
            : .systemLibrary(name: "FieldbookFFI", path: "Sources/FieldbookFFI"),
        .target(name: "FieldbookKit", dependencies: ["FieldbookFFI"], path: "Sources/FieldbookKit"),
    ]
)
